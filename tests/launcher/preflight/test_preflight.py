"""Preflight: what a cluster says of a run before it is there, over HTTP, of a chart that the real helm rendered."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from kube_server import KubeServer
from launcher.fake_cluster import (
    GPU,
    HOME,
    NODES,
    OPERATORS,
    PODS,
    SPEC,
    TAINT,
    cluster,
    items,
    needs_helm,
    node,
    operator,
    pod,
    release,
)

from job.errors import PreflightError
from job.spec.spec import JobSpec
from tench.launcher.preflight.estimate import Measured, estimate, measure
from tench.launcher.preflight.kueue import check_queue
from tench.launcher.preflight.namespace import check_namespace
from tench.launcher.preflight.nodes import check_nodes
from tench.launcher.preflight.operator import find_operator
from tench.launcher.preflight.outlook import outlook_here, outlook_on_pods
from tench.launcher.preflight.output import check_output
from tench.launcher.preflight.placement import why_not
from tench.launcher.preflight.pod_groups import is_gpu, pod_groups, requests_of
from tench.launcher.preflight.quantity import parse, show
from tench.launcher.preflight.references import check_references

pytestmark = needs_helm


@pytest.fixture(scope="module")
def two():
    """Two workers of a GPU each, and the head."""
    return release()


@pytest.fixture
def kube(tmp_path):
    """Connects to a cluster of that JSON."""
    servers = []

    def connect(objects):
        servers.append(KubeServer(tmp_path, objects).__enter__())
        return servers[-1].connect()

    yield connect
    for server in servers:
        server.__exit__()


def levels(findings):
    return [each.level for each in findings]


def only(findings, level="error"):
    (found,) = (each.text for each in findings if each.level == level)
    return found


def groups_of(rendered):
    return pod_groups(rendered.rayjob)


# Quantities and pods


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", 0.5), ("24Gi", 24 * 2**30), ("1e3", 1000), ("1.5G", 1.5e9), ("100n", 1e-7), (8, 8), ("2E", 2e18)],
)
def test_quantities_are_what_kubernetes_means(text, number):
    assert float(parse(text)) == number


@pytest.mark.parametrize("text", ["", "5 Gi", "Gi", "3gb"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="no quantity"):
        parse(text)


def test_quantities_are_shown_short():
    assert [show("memory", parse(text)) for text in ("24Gi", "1536Mi", "0", "100")] == ["24Gi", "1.5Gi", "0", "100"]
    assert [show("cpu", parse(text)) for text in ("50m", "8", "1500m")] == ["0.05", "8", "1.5"]


def test_a_run_is_a_head_and_its_workers(two):
    assert [(group.role, group.count, group.gpus) for group in groups_of(two)] == [("head", 1, 0), ("worker", 2, 2)]


def test_the_submitter_and_the_decoders_are_pods_too():
    rendered = release("kuberay.submissionMode=K8sJobMode", "decoders.replicas=3")
    assert [(group.role, group.count) for group in groups_of(rendered)] == [
        ("head", 1),
        ("worker", 2),
        ("decoder", 3),
        ("submitter", 1),
    ]


def test_a_pod_asks_for_its_limits_and_for_its_largest_init_container():
    spec = {
        "containers": [{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}],
        "initContainers": [
            {"resources": {"requests": {"cpu": "2"}}},
            {"resources": {"requests": {"memory": "1Gi"}}, "restartPolicy": "Always"},
        ],
    }
    assert requests_of(spec) == {"cpu": 2, "memory": parse("2Gi")}


def test_gpus_are_known_by_name():
    names = ["nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-1g.5gb", "gpu.intel.com/i915", "nvidia.com/gpu.shared"]
    assert all(map(is_gpu, names))
    assert not any(map(is_gpu, ["cpu", "memory", "vpc.amazonaws.com/efa", "ephemeral-storage"]))


# The operator


@pytest.mark.parametrize(
    ("image", "version", "level"),
    [
        ("quay.io/kuberay/operator:v1.6.1", "1.6", "ok"),
        ("registry.example.com:5000/kuberay/operator:1.4.2", "1.4", "ok"),
        ("quay.io/kuberay/operator:v1.5.1@sha256:" + "0" * 64, "1.5", "ok"),
        ("quay.io/kuberay/operator:v1.5.0", "1.4", "ok"),
        ("quay.io/kuberay/operator:v1.3.2", None, "error"),
        ("quay.io/kuberay/operator:v1.9.0", "1.7", "warning"),
        ("quay.io/kuberay/operator:nightly", None, "warning"),
    ],
)
def test_the_operators_version_is_its_images(kube, image, version, level):
    found = find_operator(kube(cluster(**{OPERATORS: items(operator(image))})))
    assert (found.version, found.finding.level) == (version, level)


def test_an_operator_by_its_digest_is_known_by_its_chart(kube):
    deployment = operator("quay.io/kuberay/operator@sha256:" + "0" * 64)
    deployment["metadata"]["labels"]["helm.sh/chart"] = "kuberay-operator-1.5.1"
    assert find_operator(kube(cluster(**{OPERATORS: items(deployment)}))).version == "1.5"


def test_a_network_policy_admits_the_operator_from_where_it_is(kube):
    found = find_operator(kube(cluster(**{OPERATORS: items(operator())})))
    assert found.values == {"kuberay": {"version": "1.6"}, "networkPolicy": {"operatorNamespace": "kuberay-system"}}
    assert find_operator(kube(cluster(**{OPERATORS: None}))).values == {}


def test_without_kuberay_the_way_out_is_its_installation(kube):
    found = find_operator(kube({"/apis/ray.io/v1": {"resources": []}})).finding
    assert found.level == "error"
    assert "KubeRay is not installed" in found.text
    assert "https://docs.ray.io" in found.text


def test_an_operator_that_does_not_run_is_an_error(kube):
    found = find_operator(kube(cluster(**{OPERATORS: items(operator(ready=0))}))).finding
    assert found.level == "error"
    assert "kubectl describe deployment -n kuberay-system kuberay-operator" in found.text


def test_who_may_not_see_the_operator_says_the_version(kube):
    found = find_operator(kube(cluster(**{OPERATORS: None})))
    assert (found.version, found.finding.level) == (None, "warning")
    assert "kuberay.version" in found.finding.text


# Nodes


def test_a_run_that_fits_now_is_well(kube, two):
    findings = check_nodes(kube(cluster()), groups_of(two))
    assert levels(findings) == ["ok", "ok"]
    assert findings[1].text == "2 worker pods (nvidia.com/gpu 1, cpu 8, ephemeral-storage 30Gi, memory 24Gi) fit now"


def test_what_runs_there_takes_its_room(kube, two):
    findings = check_nodes(kube(cluster(**{PODS: items(pod(gpu="1"))})), groups_of(two))
    assert levels(findings) == ["ok", "warning"]
    assert "1 of 2 worker pods" in only(findings, "warning")


def test_the_pods_of_a_run_take_each_others_room(kube, two):
    # 32 CPUs hold two workers of 8; with 23 for others, one and the head.
    findings = check_nodes(kube(cluster(**{PODS: items(pod(cpu="23"))})), groups_of(two))
    assert levels(findings) == ["ok", "warning"]


def test_a_daemon_takes_room_for_good(kube, two):
    nodes = items(node(gpus=2, cpu="17"))
    assert levels(check_nodes(kube(cluster(**{NODES: nodes})), groups_of(two))) == ["ok", "ok"]
    daemon = items(pod(owner="DaemonSet", cpu="1"))
    assert "beside its other pods the nodes hold 0 at most" in only(
        check_nodes(kube(cluster(**{NODES: nodes, PODS: daemon})), groups_of(two))
    )


def test_more_than_all_nodes_hold_would_hang(kube, two):
    text = only(check_nodes(kube(cluster(**{NODES: items(node(gpus=1))})), groups_of(two)))
    assert "2 worker pods" in text
    assert "the nodes hold 1 at most" in text
    assert "lower job.compute.concurrency" in text
    assert "--force where nodes will be added" in text


def test_every_reason_is_counted(kube):
    rendered = release("workers.nodeSelector.pool=gpu")
    nodes = [
        node("a", gpus=2),
        node("b", gpus=2),
        node("c", gpus=2, labels={"pool": "gpu"}, taints=[TAINT]),
        node("d", labels={"pool": "gpu"}),
        node("e", gpus=2, cpu="4", labels={"pool": "gpu"}),
    ]
    text = only(check_nodes(kube(cluster(**{NODES: items(*nodes)})), groups_of(rendered)))
    assert text.startswith("no node could ever hold a worker pod (nvidia.com/gpu 1, cpu 8, ")
    for reason in (
        "2 nodes: not the label pool=gpu of workers.nodeSelector",
        "1 node: the taint gpu=yes:NoSchedule, which workers.tolerations does not tolerate",
        f"1 node: no {GPU}",
        "1 node: 4 of cpu and 8 is asked for",
    ):
        assert reason in text


@pytest.mark.parametrize(
    "autoscaler",
    [
        {"/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status": {"data": {"status": ""}}},
        {"/apis/karpenter.sh/v1/nodepools": items({"metadata": {"name": "default"}})},
    ],
)
def test_an_autoscaler_may_add_the_nodes(kube, two, autoscaler):
    findings = check_nodes(kube(cluster(**{NODES: items(node())}, **autoscaler)), groups_of(two))
    assert levels(findings) == ["ok", "warning"]


def test_a_cordoned_node_is_none_now_and_one_later(kube, two):
    findings = check_nodes(kube(cluster(**{NODES: items(node(gpus=2, unschedulable=True))})), groups_of(two))
    assert levels(findings) == ["warning", "warning"]
    assert "0 of 2 worker pods" in findings[1].text


def test_who_may_not_see_others_pods_is_told_what_could_fit(kube, two):
    findings = check_nodes(kube(cluster(**{PODS: None})), groups_of(two))
    assert levels(findings) == ["ok", "ok"]
    assert "what is free now is not told to you" in findings[1].text


def test_who_may_not_see_nodes_is_told_so(kube, two):
    with pytest.raises(PreflightError, match="cannot get /api/v1/nodes"):
        check_nodes(kube(cluster(**{NODES: None})), groups_of(two))


def affinity(*expressions, field="matchExpressions"):
    terms = {"nodeSelectorTerms": [{field: list(expressions)}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


@pytest.mark.parametrize(
    ("pod_spec", "takes"),
    [
        ({}, True),
        ({"nodeSelector": {"pool": "gpu"}}, True),
        ({"nodeSelector": {"pool": "cpu"}}, False),
        (affinity({"key": "pool", "operator": "In", "values": ["gpu", "x"]}), True),
        (affinity({"key": "pool", "operator": "NotIn", "values": ["gpu"]}), False),
        (affinity({"key": "zone", "operator": "NotIn", "values": ["a"]}), True),
        (affinity({"key": "pool", "operator": "Exists"}, {"key": "zone", "operator": "DoesNotExist"}), True),
        (affinity({"key": "zone", "operator": "Exists"}), False),
        (affinity({"key": "memory", "operator": "Gt", "values": ["79"]}), True),
        (affinity({"key": "memory", "operator": "Lt", "values": ["80"]}), False),
        (affinity({"key": "metadata.name", "operator": "In", "values": ["node"]}, field="matchFields"), True),
        (affinity(), False),
    ],
)
def test_a_node_takes_what_its_labels_allow(pod_spec, takes):
    labelled = node(labels={"pool": "gpu", "memory": "80"})
    assert (why_not(labelled, pod_spec, "workers") is None) is takes


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        ({"key": "gpu", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu", "value": "yes", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_a_taint_is_tolerated_as_kubernetes_does(toleration, tolerates):
    assert (why_not(node(taints=[TAINT]), {"tolerations": [toleration]}, "workers") is None) is tolerates


def test_a_taint_that_only_prefers_keeps_nobody_away():
    assert why_not(node(taints=[{"key": "x", "effect": "PreferNoSchedule"}]), {}, "workers") is None


# The namespace


def quota(hard, used=None, **spec):
    return {"metadata": {"name": "team"}, "spec": {"hard": hard, **spec}, "status": {"used": used or {}}}


def test_a_namespace_that_is_not_there_is_named(kube, two):
    objects = cluster()
    del objects[HOME]
    assert "kubectl create namespace vision" in only(check_namespace(kube(objects), groups_of(two)))


def test_the_pods_keep_the_restricted_standard(kube, two):
    (finding,) = check_namespace(kube(cluster()), groups_of(two))
    assert (finding.level, finding.text) == ("ok", "vision, Pod Security: restricted, which the pods keep")


def test_a_hosts_path_is_not_admitted(kube):
    rendered = release(
        "volumes[0].name=data",
        "volumes[0].hostPath.path=/data",
        "volumeMounts[0].name=data",
        "volumeMounts[0].mountPath=/data",
    )
    assert "refuses the volumes data (hostPath)" in only(check_namespace(kube(cluster()), groups_of(rendered)))


@pytest.mark.parametrize(
    ("hard", "used", "level", "words"),
    [
        ({"requests.nvidia.com/gpu": "2"}, {}, "ok", "the run fits"),
        (
            {"requests.nvidia.com/gpu": "1"},
            {},
            "error",
            "team allows 1 of requests.nvidia.com/gpu and the run asks for 2",
        ),
        (
            {"requests.nvidia.com/gpu": "4"},
            {"requests.nvidia.com/gpu": "3"},
            "warning",
            "1 of 4 requests.nvidia.com/gpu",
        ),
        ({"cpu": "16"}, {}, "error", "team allows 16 of cpu and the run asks for 17"),
        ({"limits.memory": "50Gi"}, {}, "error", "50Gi of limits.memory and the run asks for 54Gi"),
        ({"limits.cpu": "100"}, {}, "error", "counts limits.cpu and refuses pods that have none; give head, workers a"),
        ({"pods": "2"}, {}, "error", "2 of pods and the run asks for 3"),
        ({"count/rayjobs.ray.io": "1"}, {"count/rayjobs.ray.io": "1"}, "warning", "0 of 1 count/rayjobs.ray.io"),
        ({"services": "1"}, {}, "ok", "the run fits"),
    ],
)
def test_a_quota_is_counted(kube, two, hard, used, level, words):
    findings = check_namespace(kube(cluster(**{f"{HOME}/resourcequotas": items(quota(hard, used))})), groups_of(two))
    assert [(each.level, words in each.text) for each in findings[1:]] == [(level, True)]


def test_a_quota_for_some_pods_only_is_left_alone(kube, two):
    scoped = quota({"pods": "1"}, scopes=["Terminating"])
    assert len(check_namespace(kube(cluster(**{f"{HOME}/resourcequotas": items(scoped)})), groups_of(two))) == 1


def test_a_limit_of_a_pod_is_kept(kube, two):
    limits = {"metadata": {"name": "small"}, "spec": {"limits": [{"type": "Container", "max": {"memory": "10Gi"}}]}}
    text = only(check_namespace(kube(cluster(**{f"{HOME}/limitranges": items(limits)})), groups_of(two)))
    assert text == "small: a pod may have 10Gi of memory; a worker pod asks for 24Gi; lower workers"


# References


def references(kube, rendered):
    return check_references(kube, rendered.objects, rendered.rayjob, groups_of(rendered))


def test_what_is_named_and_missing_is_an_error_each(kube):
    rendered = release(
        "storage.secret=keys",
        "image.pullSecrets[0]=registry",
        "serviceAccount.name=irsa",
        "workers.priorityClassName=high",
        "workers.runtimeClassName=nvidia",
        "auth.secret=token",
        "volumes[0].name=data",
        "volumes[0].persistentVolumeClaim.claimName=images",
    )
    found = references(kube(cluster()), rendered)
    assert {each.level for each in found} == {"error"}
    assert [each.text.partition(";")[0] for each in found] == [
        "there is no PersistentVolumeClaim images in the namespace vision",
        "there is no PriorityClass high",
        "there is no RuntimeClass nvidia",
        "there is no Secret keys in the namespace vision",
        "there is no Secret registry in the namespace vision",
        "there is no Secret token in the namespace vision",
        "there is no ServiceAccount irsa in the namespace vision",
    ]
    assert any(each.text.endswith("make it, or change storage.secret") for each in found)


def test_what_is_there_and_what_the_chart_brings_is_well(kube):
    rendered = release("storage.secret=keys", "serviceAccount.create=true", "serviceAccount.name=mine")
    found = references(
        kube(cluster(**{f"{HOME}/secrets/keys": {"data": {"AWS_SECRET_ACCESS_KEY": "c2VjcmV0"}}})), rendered
    )
    assert [(each.level, each.text) for each in found] == [("ok", "Secret keys is there")]


def test_who_may_not_see_a_secret_goes_on(kube):
    found = references(kube(cluster(**{f"{HOME}/secrets/keys": None})), release("storage.secret=keys"))
    assert "Secret keys was not looked for" in only(found, "warning")


@pytest.mark.parametrize(("state", "level"), [("ready", "ok"), ("failed", "warning"), (None, "error")])
def test_a_warm_cluster_has_to_be_there(kube, state, level):
    path = "/apis/ray.io/v1/namespaces/vision/rayclusters"
    there = {} if state is None else {f"{path}/warm": {"status": {"state": state}}}
    assert levels(references(kube(cluster(**there)), release("cluster=warm"))) == [level]


# The queue


KUEUE = "/apis/kueue.x-k8s.io"
LOCAL = f"{KUEUE}/v1beta1/namespaces/vision/localqueues"


def kueue(local=None, queue=None, quotas=None, **changes):
    quotas = {"cpu": "40", "memory": "200Gi", "ephemeral-storage": "1Ti", GPU: "8"} if quotas is None else quotas
    flavor = {"name": "default", "resources": [{"name": key, "nominalQuota": each} for key, each in quotas.items()]}
    group = {"coveredResources": list(quotas), "flavors": [flavor]}
    return cluster(
        **{
            KUEUE: {"preferredVersion": {"version": "v1beta1"}},
            LOCAL: items(),
            f"{LOCAL}/team": {"spec": {"clusterQueue": "gpus"}, "status": {"pendingWorkloads": 2}, **(local or {})},
            f"{KUEUE}/v1beta1/clusterqueues/gpus": {"spec": {"resourceGroups": [group], **(queue or {})}},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def queued():
    return release("queue.name=team")


def queue_findings(kube, rendered):
    return check_queue(kube, rendered.rayjob, groups_of(rendered))


def test_a_queue_that_takes_the_run_tells_who_waits(kube, queued):
    (found,) = queue_findings(kube(kueue()), queued)
    assert (found.level, found.text) == ("ok", "team of the ClusterQueue gpus: 2 runs wait before this one")


def test_without_kueue_a_queue_is_heeded_by_nobody(kube, queued, two):
    assert levels(queue_findings(kube(cluster()), queued)) == ["warning"]
    assert queue_findings(kube(cluster()), two) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"local": {"spec": {"clusterQueue": "gpus", "stopPolicy": "Hold"}}}, "the LocalQueue team is stopped (Hold)"),
        ({"queue": {"stopPolicy": "HoldAndDrain"}}, "the ClusterQueue gpus is stopped (HoldAndDrain)"),
        ({"local": {"spec": {"clusterQueue": "none"}}}, "leads to the ClusterQueue none, and there is none"),
        ({"quotas": {"cpu": "40", "memory": "200Gi", GPU: "8"}}, "has no quota for ephemeral-storage"),
        (
            {"quotas": {"cpu": "40", "memory": "200Gi", "ephemeral-storage": "1Ti", GPU: "1"}},
            "has 1 of nvidia.com/gpu where the run asks for 2, so the run is never admitted",
        ),
    ],
)
def test_a_queue_that_would_never_admit_the_run_is_an_error(kube, queued, changes, words):
    assert words in only(queue_findings(kube(kueue(**changes)), queued))


def test_a_cohort_may_lend(kube, queued):
    small = {"cpu": "40", "memory": "200Gi", "ephemeral-storage": "1Ti", GPU: "1"}
    found = queue_findings(kube(kueue(quotas=small, queue={"cohort": "all"})), queued)
    assert levels(found) == ["ok", "warning"]


def test_an_inactive_queue_says_why(kube, queued):
    inactive = {"type": "Active", "status": "False", "reason": "FlavorNotFound", "message": "no flavor h200"}
    local = {"spec": {"clusterQueue": "gpus"}, "status": {"conditions": [inactive]}}
    assert "the LocalQueue team is not active: no flavor h200" in only(queue_findings(kube(kueue(local=local)), queued))


def test_a_queue_that_is_not_there_is_named_with_those_that_are(kube):
    objects = kueue(**{LOCAL: items({"metadata": {"name": "team"}})})
    text = only(queue_findings(kube(objects), release("queue.name=taem")))
    assert "there is no LocalQueue taem in vision (team)" in text


def test_a_priority_that_is_not_there_is_an_error(kube):
    rendered = release("queue.name=team", "queue.priorityClass=urgent")
    assert "no WorkloadPriorityClass urgent" in only(queue_findings(kube(kueue()), rendered))


# The output


def test_an_output_that_refuses_a_second_write_is_well_and_left_clean(s3):
    found = check_output(f"{s3.uri}/runs/r")
    assert found.level == "ok", found.text
    assert s3.client.list_objects_v2(Bucket=s3.name).get("Contents", []) == []


class Overwriting(BaseHTTPRequestHandler):
    """A store that ignores `If-None-Match`."""

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"etag"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_DELETE(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_store_that_overwrites_is_named_and_what_that_means(s3, monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Overwriting)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    found = check_output(f"{s3.uri}/runs/r")
    server.shutdown()
    server.server_close()
    assert found.level == "warning"
    assert "overwrites where it was asked to create only" in found.text
    assert "one driver at a time" in found.text


def test_an_output_that_may_not_be_written_is_an_error(flaky, s3):
    flaky.fail(*[403] * 3, method="PUT")
    found = check_output(f"{s3.uri}/runs/r")
    assert found.level == "error"
    assert "access denied" in found.text
    assert "--force where the pods have others" in found.text


def test_a_path_of_the_pods_is_not_looked_at(tmp_path):
    assert check_output(f"{tmp_path}/runs").level == "warning"
    assert not (tmp_path / "runs").exists()


# The estimate


def spec_with(output, **compute):
    return JobSpec.model_validate({**SPEC, "output": {"uri": output}, "compute": {**SPEC["compute"], **compute}})


def test_gpu_hours_are_gpus_times_the_time(two):
    measured = Measured(images_per_second=500, source="as given")
    found = estimate(spec_with("s3://results/runs", concurrency=2), groups_of(two), 3_600_000, measured)
    assert (found.pods, found.gpus, found.seconds, found.gpu_hours) == (3, 2, 3600.0, 2.0)
    assert found.line() == "3 pods, 2 GPUs; about 1 h 00 min and 2 GPU-hours at 500 images/s a replica (as given)"


def test_what_is_not_known_is_not_made_up(two):
    found = estimate(spec_with("s3://results/runs"), groups_of(two), 1000, None)
    assert (found.seconds, found.gpu_hours) == (None, None)
    assert "--images-per-second" in found.line()


def plan_json(spec, run_id):
    plan = {"run_id": run_id, "fingerprint": "", "spec": spec.model_dump(mode="json"), "images": 1, "bytes": 1}
    return json.dumps(plan | {"shards": 1, "rows_per_file": 1, "parts": [], "versions": {}, "created": ""})


def test_an_earlier_run_of_the_same_model_tells_the_speed_of_a_replica(tmp_path):
    spec = spec_with(str(tmp_path), concurrency=4)
    other = JobSpec.model_validate({**spec.model_dump(), "model": {"kind": "torchvision", "name": "resnet50"}})
    for run_id, there, speed in (("aaa", other, 7.0), ("bbb", spec, 0.0), ("ccc", spec, 1000.0)):
        (tmp_path / run_id).mkdir()
        (tmp_path / run_id / "plan.json").write_text(plan_json(there, run_id))
        (tmp_path / run_id / "progress.json").write_text(json.dumps({"images_per_second": speed}))
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "plan.json").write_text("no JSON")
    found = measure(spec, "pets-new")
    assert (found.images_per_second, found.source) == (250.0, "run ccc")


def test_without_an_earlier_run_nothing_is_measured(tmp_path):
    assert measure(spec_with(str(tmp_path / "none")), "pets-new") is None
    assert os.listdir(tmp_path) == []


# The forecast


def test_a_forecast_tells_the_price_of_all_pods_and_what_was_assumed():
    prices = ["head.pricePerHour=0.25", "workers.pricePerHour=3.5"]
    groups = groups_of(release(*prices))
    assert [(group.role, group.count, group.price_an_hour) for group in groups][:2] == [
        ("head", 1, 0.25),
        ("worker", 2, 3.5),
    ]
    spec = spec_with("s3://results/runs", concurrency=2)
    found = outlook_on_pods(spec, groups, 10_000_000, None, None)
    assert found.price == pytest.approx((0.25 + 2 * 3.5) * found.seconds / 3600, abs=0.01)
    assert found.assumed == ["a model on H200", "images of 110 KB"]


def test_a_forecast_knows_the_gpu_that_nodes_are_selected_by():
    groups = groups_of(release(r"workers.nodeSelector.nvidia\.com/gpu\.product=Tesla-T4"))
    found = outlook_on_pods(spec_with("s3://results/runs", concurrency=2), groups, 10**6, 10**11, None)
    assert (found.assumed, found.price) == (["a model on T4"], None)


def test_a_forecast_of_what_nobody_knows_is_none():
    spec = spec_with("s3://results/runs")
    unknown = spec.model_copy(update={"model": spec.model.model_copy(update={"kind": "python", "name": "my:Model"})})
    assert outlook_on_pods(unknown, groups_of(release()), 1000, None, None) is None
    assert outlook_on_pods(spec, [], 1000, None, None) is None
    assert outlook_here(spec, 0, 0, None) is None
    measured = Measured(images_per_second=100, source="as given")
    assert outlook_on_pods(unknown, groups_of(release()), 1000, None, measured).bottleneck.startswith("predict")
