"""Runs on GPUs by name: pods are placed where the node says it has some, and find no CUDA device there."""

import pytest
from e2e_jobs import CLASSIFY
from e2e_kube import SMALL, merge

from scripts.kind.cluster import advertise_gpus

FOUR_REPLICAS = merge(CLASSIFY, {"compute": {"concurrency": 4, "gpus_per_replica": 1}, "source": {"limit": 400}})
TWO_PODS_AND_A_DECODER = {
    "workers": {"gpus": 2, "cpus": 2},
    "decoders": {"replicas": 1, "cpus": 2, "memory": "2Gi", **SMALL},
}


@pytest.fixture(autouse=True, scope="module")
def gpus():
    advertise_gpus(4)


def limits(pod):
    return pod["spec"]["containers"][0]["resources"]["limits"]


def test_a_replica_without_its_gpu_stops_the_run_and_says_why(namespace, store):
    release = namespace.install("gpu", {"job": merge(FOUR_REPLICAS, {"compute": {"concurrency": 1}})})
    status = release.finished()
    assert status["jobDeploymentStatus"] == "Failed"
    assert "this replica was promised 1 GPUs and sees none" in status["message"]
    (log,) = store.driver_logs(release.run_id())
    assert log.count("this replica was promised") == 1, "it is not tried again"
    assert not store.shards(release.run_id())


def test_with_a_fallback_it_says_so_and_completes(namespace, store):
    job = merge(FOUR_REPLICAS, {"compute": {"cpu_fallback": True}})
    release = namespace.install("fallback", {"job": job, **TWO_PODS_AND_A_DECODER})
    release.running()
    gpus = {
        role: [limits(pod).get("nvidia.com/gpu") for pod in release.pods(role)]
        for role in ("worker", "decoder", "head")
    }
    assert gpus == {"worker": ["2", "2"], "decoder": [None], "head": [None]}
    resources = release.exec_in_head("ray", "status")
    assert "/4.0 GPU" in resources
    assert "/6.0 CPU" in resources
    release.succeeded()
    (log,) = store.driver_logs(release.run_id())
    assert "this replica sees no GPU: running on the CPU" in log
    assert store.success(release.run_id())["rows"] == 400
