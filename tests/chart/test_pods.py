"""Every pod of every case: admitted by the restricted Pod Security Standard, without a token, as it was asked for."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from chart.helm import (
    CASES,
    RUN,
    HelmError,
    Object,
    case,
    manifest,
    merged,
    of_kind,
    pod_templates,
    ray_cluster,
    render,
)

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
S3_KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


@pytest.mark.parametrize("name", CASES)
def test_every_pod_is_admitted_by_the_restricted_standard(name: str) -> None:
    for component, pod in pod_templates(case(name)):
        assert list(_violations(pod["spec"])) == [], component


@pytest.mark.parametrize(
    ("spec", "container", "violation"),
    [
        ({"hostNetwork": True}, {}, "hostNetwork"),
        ({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, {}, "volume x"),
        ({}, {"privileged": True}, "privileged"),
        ({}, {"allowPrivilegeEscalation": None}, "allowPrivilegeEscalation"),
        ({}, {"capabilities": {"drop": ["NET_RAW"]}}, "capabilities"),
        ({}, {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}, "capabilities"),
        ({"securityContext": {"runAsNonRoot": True}}, {}, "seccompProfile"),
        ({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, {}, "runAsNonRoot"),
        ({}, {"runAsUser": 0}, "runAsUser"),
    ],
)
def test_the_check_of_the_standard_sees_what_is_wrong(spec: Object, container: Object, violation: str) -> None:
    (_, pod), *_ = pod_templates(case("cpu"))
    (good,) = pod["spec"]["containers"]
    bad = {**good, "securityContext": {**good["securityContext"], **container}}
    assert list(_violations({**pod["spec"], "containers": [bad], **spec})) == [violation]


@pytest.mark.parametrize("name", CASES)
def test_no_pod_has_a_token_of_the_cluster(name: str) -> None:
    assert all(pod["spec"]["automountServiceAccountToken"] is False for _, pod in pod_templates(case(name)))


@pytest.mark.parametrize("name", CASES)
def test_no_pod_writes_to_its_image_unless_it_is_let(name: str) -> None:
    for _, pod in pod_templates(case(name)):
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is (name != "private-registry")
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
        assert _environment(pod)["HOME"] == "/tmp/home"


@pytest.mark.parametrize("name", CASES)
def test_a_pods_status_keeps_the_last_lines_of_a_container_that_failed(name: str) -> None:
    for _, pod in pod_templates(case(name)):
        (container,) = pod["spec"]["containers"]
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@pytest.mark.parametrize("mode", ["run", "cluster"])
def test_weights_in_an_image_are_mounted_in_every_pod(mode: str) -> None:
    image = f"registry.example.com/nets@sha256:{'1' * 64}"
    values = RUN if mode == "run" else {"mode": "cluster", "workers": {"replicas": 2}}
    changes: Object = {"weights": {"image": image, "mountPath": "/nets"}}
    objects = list(yaml.safe_load_all(manifest(merged(values, changes), kubernetes="1.36.1")))
    pods = list(pod_templates(objects))
    assert len(pods) >= 2
    for _, pod in pods:
        assert {"name": "weights", "image": {"reference": image, "pullPolicy": "IfNotPresent"}} in pod["spec"][
            "volumes"
        ]
        (container,) = pod["spec"]["containers"]
        assert {"name": "weights", "mountPath": "/nets", "readOnly": True} in container["volumeMounts"]
    with pytest.raises(HelmError, match="weights"):
        manifest(merged(values, {"weights": {"image": "nets:latest"}}), kubernetes="1.36.1")


@pytest.mark.parametrize("name", CASES)
def test_a_pod_knows_its_image(name: str) -> None:
    for component, pod in pod_templates(case(name)):
        (container,) = pod["spec"]["containers"]
        assert component == "submitter" or _environment(pod)["TENCH_IMAGE"] == container["image"]


def test_a_changed_model_is_accepted_by_a_value() -> None:
    (rayjob,) = (each for each in render(RUN, {"acceptChangedModel": True}) if each["kind"] == "RayJob")
    assert rayjob["spec"]["entrypoint"].endswith(" --accept-changed-model")


@pytest.mark.parametrize("name", CASES)
def test_no_variable_volume_or_mount_is_there_twice(name: str) -> None:
    for _, pod in pod_templates(case(name)):
        (container,) = pod["spec"]["containers"]
        volumes = [volume["name"] for volume in pod["spec"]["volumes"]]
        for names in (
            [variable["name"] for variable in container["env"]],
            [mount["mountPath"] for mount in container["volumeMounts"]],
            volumes,
        ):
            assert len(set(names)) == len(names)
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)


def test_a_library_has_one_thread_for_the_job_gives_torch_its_own() -> None:
    for _, pod in pod_templates(case("cpu")):
        assert _environment(pod)["OMP_NUM_THREADS"] == "1"


def test_a_variable_of_the_user_s_replaces_the_chart_s() -> None:
    for _, pod in pod_templates(case("private-registry")):
        assert _environment(pod)["OMP_NUM_THREADS"] == "2"


def test_a_store_other_than_aws_gets_its_endpoint_and_no_checksums_of_aws() -> None:
    for _, pod in pod_templates(case("four-gpus")):
        environment = _environment(pod)
        assert environment["AWS_ENDPOINT_URL"] == "http://ceph.storage:7480"
        assert environment["AWS_REQUEST_CHECKSUM_CALCULATION"] == "when_required"
        assert environment["AWS_RESPONSE_CHECKSUM_VALIDATION"] == "when_required"
        assert pod["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "ceph"}}]


def test_aws_gets_its_region_alone() -> None:
    for _, pod in pod_templates(case("irsa")):
        environment = _environment(pod)
        assert (environment["AWS_REGION"], environment["AWS_DEFAULT_REGION"]) == ("eu-central-1", "eu-central-1")
        assert "AWS_ENDPOINT_URL" not in environment
        assert not S3_KEYS & environment.keys()
        assert "envFrom" not in pod["spec"]["containers"][0]


def test_requester_pays_reaches_every_pod_and_no_pod_that_did_not_ask() -> None:
    for offers, said in ((True, "requester"), (False, None)):
        pods = list(pod_templates(render(RUN, {"storage": {"requesterPays": offers}})))
        assert [_environment(pod).get("AWS_REQUEST_PAYER") for _, pod in pods] == [said] * len(pods)


def test_a_role_s_service_account_is_the_one_of_head_and_workers() -> None:
    account = of_kind(case("irsa"), "ServiceAccount")
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/tench"}
    assert account["automountServiceAccountToken"] is False
    assert {pod["spec"]["serviceAccountName"] for _, pod in pod_templates(case("irsa"))} == {
        account["metadata"]["name"]
    }


def test_azure_s_workload_identity_gets_the_label_that_it_looks_for() -> None:
    key = "azure.workload.identity/client-id"
    account = {"create": True, "annotations": {key: "00000000-0000-0000-0000-000000000000"}}
    use = "azure.workload.identity/use"
    for changes in ({}, {"labels": {use: "true"}}):
        for _, pod in pod_templates(render(RUN, {"serviceAccount": account, **changes})):
            assert pod["metadata"]["labels"][use] == "true"
    assert all(use not in pod["metadata"]["labels"] for _, pod in pod_templates(case("irsa")))


def test_an_account_that_is_there_is_used_and_not_made() -> None:
    objects = case("private-registry")
    assert "ServiceAccount" not in {each["kind"] for each in objects}
    assert {pod["spec"]["serviceAccountName"] for _, pod in pod_templates(objects)} == {"batch-runner"}


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ({}, "tench:0.1.0"),
        ({"tag": "1"}, "tench:1"),
        ({"repository": "localhost:5000/a/tench", "tag": "1.0"}, "localhost:5000/a/tench:1.0"),
        ({"tag": "1", "digest": f"sha256:{'0' * 64}"}, f"tench@sha256:{'0' * 64}"),
    ],
)
def test_a_digest_goes_before_a_tag_and_a_tag_before_the_chart_s_version(image: Object, name: str) -> None:
    assert {pod["spec"]["containers"][0]["image"] for _, pod in pod_templates(render(RUN, {"image": image}))} == {name}


def test_the_head_is_kept_from_eviction_and_the_workers_are_not() -> None:
    objects = case("one-gpu")
    budget = of_kind(objects, "PodDisruptionBudget")["spec"]
    assert budget["minAvailable"] == 1
    pods = {component: pod["metadata"] for component, pod in pod_templates(objects)}
    covered = budget["selector"]["matchLabels"].items()
    assert [component for component, pod in pods.items() if covered <= pod["labels"].items()] == ["head"]
    annotations = {component: pod.get("annotations", {}) for component, pod in pods.items()}
    assert annotations["head"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert annotations["worker"] == {}
    assert "PodDisruptionBudget" not in {each["kind"] for each in case("private-registry")}


def test_the_nodes_of_a_group_are_its_own() -> None:
    specs = {component: pod["spec"] for component, pod in pod_templates(case("decoders"))}
    assert {component: spec.get("nodeSelector") for component, spec in specs.items()} == {
        "head": None,
        "worker": {"pool": "gpu"},
        "decoder": {"pool": "cpu"},
    }


def test_the_policy_lets_in_who_is_needed_and_out_what_ray_needs() -> None:
    policy = of_kind(case("network-policy"), "NetworkPolicy")["spec"]
    own = {"podSelector": policy["podSelector"]}
    assert policy["ingress"][0] == {"from": [own]}
    assert [[port["port"] for port in rule["ports"]] for rule in policy["ingress"][1:]] == [[8265], [8080]]
    assert policy["egress"][0] == {"to": [own]}
    assert {port["port"] for port in policy["egress"][1]["ports"]} == {53}
    assert "Egress" not in of_kind(case("warm-cluster"), "NetworkPolicy")["spec"]["policyTypes"]


def test_a_warm_cluster_s_policy_lets_in_the_submitters_of_its_runs() -> None:
    changes = {"cluster": "warm", "kuberay": {"submissionMode": "K8sJobMode"}}
    ((_, submitter),) = pod_templates(render(RUN, changes, release="monday"))
    rules = of_kind(case("warm-cluster"), "NetworkPolicy")["spec"]["ingress"]
    admitted = [rule["from"][0]["podSelector"]["matchLabels"] for rule in rules if "podSelector" in rule["from"][0]]
    assert any(labels.items() <= submitter["metadata"]["labels"].items() for labels in admitted)


@pytest.mark.parametrize("kind", ["ServiceAccount", "NetworkPolicy"])
def test_what_is_not_asked_for_is_not_made(kind: str) -> None:
    assert kind not in {each["kind"] for each in case("cpu")}
    assert "imagePullSecrets" not in ray_cluster(case("cpu"))["headGroupSpec"]["template"]["spec"]


def _environment(pod: Object) -> dict[str, Any]:
    (container,) = pod["spec"]["containers"]
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def _violations(spec: Object) -> Iterator[str]:
    """What of a pod the restricted standard forbids."""
    yield from (key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
    for volume in spec.get("volumes", []):
        if not volume.keys() - {"name"} <= VOLUMES:
            yield f"volume {volume['name']}"
    for container in (container for key in CONTAINERS for container in spec.get(key, [])):
        context = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
        capabilities = context.get("capabilities", {})
        wrong = {
            "privileged": context.get("privileged"),
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is not False,
            "capabilities": "ALL" not in capabilities.get("drop", [])
            or not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "runAsNonRoot": context.get("runAsNonRoot") is not True,
            "runAsUser": context.get("runAsUser") == 0,
            "seccompProfile": context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
            "procMount": context.get("procMount", "Default") != "Default",
            "sysctls": context.get("sysctls"),
            "hostPort": any(port.get("hostPort") for port in container.get("ports", [])),
        }
        yield from (name for name, is_wrong in wrong.items() if is_wrong)
