"""The RayJob: one safe command, resumable attempts, and only what the operator's version and the warm cluster allow."""

import json
import re

import pytest
from chart.helm import (
    CASES,
    NAMESPACE,
    RELEASE,
    RUN,
    Object,
    case,
    manifest,
    of_kind,
    pod_templates,
    ray_cluster,
    render,
)

RUNS = [name for name in CASES if name != "warm-cluster"]
VERSIONS = ["1.4", "1.5", "1.6", "1.7"]
WARM = {"cluster": "warm"}


@pytest.mark.parametrize("name", RUNS)
def test_the_entrypoint_means_the_same_to_every_shell(name: str) -> None:
    entrypoint = of_kind(case(name), "RayJob")["spec"]["entrypoint"]
    assert re.fullmatch(r"python -m job (/etc/tench/job\.yaml|env:TENCH_JOB) [A-Za-z0-9._-]+", entrypoint)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_ever_suspended_or_released_by_the_chart(name: str) -> None:
    # Kueue sets it; a chart that does, too, would fight.
    assert "suspend" not in manifest(name)


@pytest.mark.parametrize("name", [name for name in RUNS if name != "run-on-warm-cluster"])
def test_the_cluster_goes_when_the_run_ends_and_the_rayjob_stays(name: str) -> None:
    spec = of_kind(case(name), "RayJob")["spec"]
    assert spec["shutdownAfterJobFinishes"] is True
    assert isinstance(spec["ttlSecondsAfterFinished"], int)
    assert "deletionStrategy" not in spec


def test_attempts_and_deadlines_are_the_values_also_where_they_are_0() -> None:
    queued, plain = (of_kind(case(name), "RayJob")["spec"] for name in ("queue", "cpu"))
    assert (queued["backoffLimit"], queued["ttlSecondsAfterFinished"]) == (0, 0)
    assert (queued["activeDeadlineSeconds"], queued["preRunningDeadlineSeconds"]) == (86400, 3600)
    assert (plain["backoffLimit"], plain["ttlSecondsAfterFinished"]) == (1, 60)
    assert "activeDeadlineSeconds" not in plain


@pytest.mark.parametrize("version", VERSIONS)
def test_a_newer_field_is_left_out_for_an_older_operator(version: str) -> None:
    auth = {"mode": "disabled"} if version == "1.4" else {"mode": "token"}
    spec = of_kind(render(RUN, {"kuberay": {"version": version}, "auth": auth}), "RayJob")["spec"]
    assert ("authOptions" in spec["rayClusterSpec"]) is (version >= "1.5")
    assert ("preRunningDeadlineSeconds" in spec) is (version >= "1.6")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_upgrade_of_a_warm_cluster_replaces_its_pods_where_the_operator_can(version: str) -> None:
    auth = {"mode": "disabled"} if version == "1.4" else {"mode": "token"}
    cluster = ray_cluster(render("warm-cluster", {"kuberay": {"version": version}, "auth": auth}))
    assert cluster.get("upgradeStrategy") == ({"type": "Recreate"} if version >= "1.6" else None)
    # KubeRay refuses a RayJob with it.
    assert "upgradeStrategy" not in ray_cluster(case("cpu"))


def test_ray_asks_for_a_token_unless_it_is_told_not_to() -> None:
    for name, options in {
        "cpu": {"mode": "token"},
        "warm-cluster": {"mode": "token"},
        "kuberay-1.7": {"mode": "token", "secretName": "ray-token"},
        "no-auth": {"mode": "disabled"},
    }.items():
        assert ray_cluster(case(name))["authOptions"] == options
        assert ray_cluster(case(name))["rayVersion"]


def test_the_operator_submits_and_no_pod_is_made_for_that() -> None:
    spec = of_kind(case("cpu"), "RayJob")["spec"]
    assert spec["submissionMode"] == "HTTPMode"
    assert "submitterPodTemplate" not in spec


def test_a_submitter_is_placed_and_admitted_like_the_head() -> None:
    spec = of_kind(case("k8sjobmode"), "RayJob")["spec"]
    assert spec["submissionMode"] == "K8sJobMode"
    submitter, head = spec["submitterPodTemplate"], spec["rayClusterSpec"]["headGroupSpec"]["template"]
    for key in ("imagePullSecrets", "nodeSelector", "tolerations", "securityContext", "serviceAccountName"):
        assert submitter["spec"][key] == head["spec"][key]
    assert submitter["spec"]["restartPolicy"] == "Never"
    assert submitter["spec"]["containers"][0]["image"] == head["spec"]["containers"][0]["image"]
    assert submitter["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}


def test_a_submitter_has_the_labels_that_every_pod_has() -> None:
    pods = dict(pod_templates(render("k8sjobmode", {"labels": {"team": "vision"}})))
    assert {name: pod["metadata"]["labels"].get("team") for name, pod in pods.items()} == {
        "submitter": "vision",
        "head": "vision",
        "worker": "vision",
    }


def test_a_run_on_a_warm_cluster_has_nothing_that_kuberay_forbids_there() -> None:
    objects = case("run-on-warm-cluster")
    spec = of_kind(objects, "RayJob")["spec"]
    assert spec["clusterSelector"] == {"ray.io/cluster": "warm"}
    forbidden = {"rayClusterSpec", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"}
    assert not forbidden & spec.keys()
    assert {each["kind"] for each in objects} == {"RayJob", "ConfigMap"}


def test_a_run_on_a_warm_cluster_may_have_more_replicas_than_the_chart_knows_of() -> None:
    compute = {"concurrency": 64, "cpus_per_replica": 16}
    assert of_kind(render(RUN, {**WARM, "job": {"compute": compute}}), "RayJob")


def test_a_warm_cluster_is_a_cluster_alone() -> None:
    objects = case("warm-cluster")
    assert {each["kind"] for each in objects} == {"RayCluster", "NetworkPolicy", "PodDisruptionBudget"}
    assert "/etc/tench" not in json.dumps(objects)


@pytest.mark.parametrize("name", ["queue", "warm-cluster"])
def test_kueue_finds_its_queue_on_the_object_and_on_no_pod(name: str) -> None:
    for each in case(name):
        labels = each["metadata"]["labels"]
        expected = "vision" if each["apiVersion"] == "ray.io/v1" else None
        assert labels.get("kueue.x-k8s.io/queue-name") == expected
    assert "kueue" not in json.dumps(ray_cluster(case(name)))
    assert of_kind(case("queue"), "RayJob")["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "batch"


def test_a_warm_cluster_has_the_priority_of_its_values() -> None:
    cluster = of_kind(render("warm-cluster", {"queue": {"priorityClass": "batch"}}), "RayCluster")
    assert cluster["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "batch"


def test_the_rayjob_says_where_its_result_is() -> None:
    metadata = of_kind(case("cpu"), "RayJob")["metadata"]
    assert metadata["annotations"] == {"tench/output-uri": "s3://results/runs/"}
    assert metadata["labels"]["tench/run-id"].startswith(f"{RELEASE}-")
    assert metadata["namespace"] == NAMESPACE


@pytest.mark.parametrize(
    ("given", "explicit"),
    [
        ({"compute": {"gpus_per_replica": 1}}, {"compute": {"gpus_per_replica": 1.0}}),
        ({}, {"compute": {"concurrency": 8}}),
    ],
)
def test_the_same_number_written_otherwise_is_the_same_run(given: Object, explicit: Object) -> None:
    assert manifest(RUN, {"job": given}) == manifest(RUN, {"job": explicit})
