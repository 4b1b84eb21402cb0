"""Runs on GPUs by name: pods are placed where the node says it has some, and find no CUDA device there."""

import pytest
from e2e_jobs import CLASSIFY
from e2e_kube import merge

from scripts.kind.cluster import advertise_gpus

FOUR_REPLICAS = merge(CLASSIFY, {"compute": {"concurrency": 4, "gpus_per_replica": 1}, "source": {"limit": 400}})
TWO_PODS = {"workers": {"gpus": 2, "cpus": 3}}


@pytest.fixture(autouse=True, scope="module")
def gpus():
    advertise_gpus(4)


def limits(pod):
    return pod["spec"]["containers"][0]["resources"]["limits"]


def test_a_replica_without_its_gpu_stops_the_run_and_says_why(namespace):
    release = namespace.install("gpu", {"job": FOUR_REPLICAS, **TWO_PODS})
    status = release.finished()
    assert status["jobDeploymentStatus"] == "Failed"
    assert "this replica was promised 1 GPUs and sees none" in status["message"]


def test_with_a_fallback_it_says_so_and_completes(namespace, store):
    job = merge(FOUR_REPLICAS, {"compute": {"cpu_fallback": True}})
    release = namespace.install("fallback", {"job": job, **TWO_PODS, "ttlSecondsAfterFinished": 60})
    release.running()
    workers = release.pods("worker")
    assert [limits(pod)["nvidia.com/gpu"] for pod in workers] == ["2", "2"]
    assert "nvidia.com/gpu" not in limits(release.pods("head")[0])
    resources = release.exec_in_head("ray", "status")
    assert "/4.0 GPU" in resources
    release.succeeded()
    log = release.exec_in_head("bash", "-c", "cat /tmp/ray/session_latest/logs/job-driver-*.log")
    assert "this replica sees no GPU: running on the CPU" in log
    assert store.success(release.run_id())["rows"] == 400
