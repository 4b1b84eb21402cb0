"""What each case without a golden file is about, where no other module of this folder looks at it."""

from collections.abc import Iterator

import pytest
from chart.helm import Object, case, load_values, of_kind, pod_templates, ray_cluster

GPU = "nvidia.com/gpu"


@pytest.mark.parametrize(
    ("name", "group", "pods", "requests", "shared_memory"),
    [
        ("cpu", "workers", 3, {"cpu": "8", "memory": "24Gi", "ephemeral-storage": "30Gi"}, "8Gi"),
        ("one-gpu", "workers", 3, {"cpu": "12", "memory": "48Gi", "ephemeral-storage": "30Gi", GPU: "1"}, "1536Mi"),
        ("four-gpus", "workers", 3, {"cpu": "48", "memory": "256Gi", "ephemeral-storage": "200Gi", GPU: "4"}, "80Gi"),
        ("decoders", "workers", 2, {"cpu": "1", "memory": "24Gi", "ephemeral-storage": "30Gi", GPU: "1"}, "8Gi"),
        ("decoders", "decoders", 4, {"cpu": "16", "memory": "16Gi", "ephemeral-storage": "20Gi"}, "5Gi"),
    ],
)
def test_a_group_has_the_pods_that_its_replicas_need_and_the_size_of_its_values(
    name: str, group: str, pods: int, requests: Object, shared_memory: str
) -> None:
    (found,) = (each for each in ray_cluster(case(name))["workerGroupSpecs"] if each["groupName"] == group)
    assert [found[key] for key in ("minReplicas", "replicas", "maxReplicas")] == [pods] * 3
    spec = found["template"]["spec"]
    resources = spec["containers"][0]["resources"]
    assert resources["requests"] == requests
    assert resources["limits"] == {key: requests[key] for key in requests if key in ("memory", GPU)}
    told = found["rayStartParams"]
    assert (told["num-cpus"], told["num-gpus"]) == (requests["cpu"], requests.get(GPU, "0"))
    limits = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in spec["volumes"]}
    assert limits == {"tmp": requests["ephemeral-storage"], "shared-memory": shared_memory}


def test_results_on_a_volume_are_where_every_pod_sees_them() -> None:
    for _, pod in pod_templates(case("anonymous")):
        assert {"name": "results", "persistentVolumeClaim": {"claimName": "results"}} in pod["spec"]["volumes"]
        assert {"name": "results", "mountPath": "/results"} in pod["spec"]["containers"][0]["volumeMounts"]
    assert of_kind(case("anonymous"), "RayJob")["metadata"]["annotations"] == {"tench/output-uri": "/results/runs"}


def test_a_public_bucket_needs_its_region_alone() -> None:
    for _, pod in pod_templates(case("anonymous")):
        (container,) = pod["spec"]["containers"]
        variables = {each["name"]: each["value"] for each in container["env"] if each["name"].startswith("AWS_")}
        assert variables == {"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-west-2"}
        assert "envFrom" not in container


def test_the_oldest_operator_gets_no_field_that_it_does_not_know() -> None:
    spec = of_kind(case("kuberay-1.4"), "RayJob")["spec"]
    assert not {"authOptions", "preRunningDeadlineSeconds", "upgradeStrategy"} & set(_keys(spec))
    assert spec["activeDeadlineSeconds"] == 7200


def test_the_newest_operator_gets_the_secret_and_a_deadline_before_the_start() -> None:
    spec = of_kind(case("kuberay-1.7"), "RayJob")["spec"]
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token", "secretName": "ray-token"}
    assert spec["preRunningDeadlineSeconds"] == 1800


def test_a_ray_without_tokens_is_told_to_the_operator_with_its_version() -> None:
    cluster = ray_cluster(case("no-auth"))
    assert (cluster["rayVersion"], cluster["authOptions"]) == ("2.50.1", {"mode": "disabled"})


def test_a_policy_names_the_namespaces_that_may_call_and_the_user_s_ways_out() -> None:
    policy = of_kind(case("network-policy"), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"][1:] == [_from_namespace("ray-system", 8265), _from_namespace("monitoring", 8080)]
    dns = {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}
    assert policy["egress"][1:] == [dns, *load_values("network-policy")["networkPolicy"]["egress"]]


def test_a_role_s_account_is_made_for_the_release_alone() -> None:
    account = of_kind(case("irsa"), "ServiceAccount")
    assert account.keys() == {"apiVersion", "kind", "metadata", "automountServiceAccountToken"}
    assert account["metadata"]["labels"] == of_kind(case("irsa"), "ConfigMap")["metadata"]["labels"]


def test_a_queued_run_says_its_priority_and_every_limit() -> None:
    rayjob = of_kind(case("queue"), "RayJob")
    labels = {key: value for key, value in rayjob["metadata"]["labels"].items() if "kueue" in key}
    assert labels == {"kueue.x-k8s.io/queue-name": "vision", "kueue.x-k8s.io/priority-class": "batch"}
    limits = ("backoffLimit", "activeDeadlineSeconds", "preRunningDeadlineSeconds", "ttlSecondsAfterFinished")
    assert [rayjob["spec"][key] for key in limits] == [0, 86400, 3600, 0]
    assert ray_cluster(case("queue"))["workerGroupSpecs"][0]["replicas"] == 4


def _keys(document: object) -> Iterator[str]:
    """Of all objects within it."""
    for key, value in document.items() if isinstance(document, dict) else ():
        yield key
        yield from _keys(value)


def _from_namespace(name: str, port: int) -> Object:
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    return {"from": [{"namespaceSelector": selector}], "ports": [{"protocol": "TCP", "port": port}]}
