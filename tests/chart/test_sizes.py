"""Sizes: as many pods as the replicas need, each placed where all of it is, and Ray told of no more than that."""

from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from chart.helm import CASES, RUN, Object, case, load_values, ray_cluster, render
from hypothesis import assume, given, settings
from hypothesis import strategies as st

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
SHARES = {0.1: 10, 0.125: 8, 0.2: 5, 0.25: 4, 0.33: 3, 0.3333: 3, 0.5: 2}


@settings(max_examples=30)
@given(
    concurrency=st.integers(1, 2000),
    gpus_per_replica=st.sampled_from([*SHARES, 1, 2, 4, 8]),
    gpus_per_pod=st.integers(1, 16),
)
def test_gpus_decide_on_the_worker_pods(concurrency: int, gpus_per_replica: float, gpus_per_pod: int) -> None:
    assume(gpus_per_replica < 1 or gpus_per_pod % gpus_per_replica == 0)
    # 0.33 of a GPU is a third of it: a fourth replica would not fit.
    whole = Fraction(1, SHARES[gpus_per_replica]) if gpus_per_replica in SHARES else Fraction(gpus_per_replica)
    pods = ceil(concurrency * whole / gpus_per_pod)
    workers = _workers(
        {
            "job": {"compute": {"concurrency": concurrency, "gpus_per_replica": gpus_per_replica}},
            "workers": {"gpus": gpus_per_pod, "cpus": 1000},
        }
    )
    assert _replicas(workers) == (pods, pods, pods)
    assert _gpus(workers) == (str(gpus_per_pod), str(gpus_per_pod), str(gpus_per_pod))


@settings(max_examples=30)
@given(
    concurrency=st.integers(1, 2000),
    cpus_per_replica=st.integers(1, 8),
    cpus_per_pod=st.integers(2, 64),
)
def test_cpus_decide_on_the_worker_pods_of_a_run_without_gpus(
    concurrency: int, cpus_per_replica: int, cpus_per_pod: int
) -> None:
    for_replicas = cpus_per_pod - 1
    assume(for_replicas >= cpus_per_replica)
    pods = ceil(concurrency / floor(for_replicas / cpus_per_replica))
    compute = {"concurrency": concurrency, "gpus_per_replica": 0, "cpus_per_replica": cpus_per_replica}
    workers = _workers({"job": {"compute": compute}, "workers": {"cpus": cpus_per_pod}})
    assert _replicas(workers) == (pods, pods, pods)
    assert _gpus(workers) == ("0", None, None)


def test_a_warm_cluster_has_the_pods_and_the_gpus_that_it_is_given() -> None:
    workers = _groups(ray_cluster(case("warm-cluster")))["workers"]
    assert _replicas(workers) == (2, 2, 2)
    assert _gpus(workers) == ("4", "4", "4")


def test_decoders_are_pods_without_gpu() -> None:
    groups = _groups(ray_cluster(case("decoders")))
    assert list(groups) == ["workers", "decoders"]
    assert _replicas(groups["decoders"]) == (4, 4, 4)
    assert _gpus(groups["decoders"]) == ("0", None, None)
    assert list(_groups(ray_cluster(case("cpu")))) == ["workers"]


@pytest.mark.parametrize("name", [name for name in CASES if name != "run-on-warm-cluster"])
def test_the_head_takes_no_work_and_no_gpu(name: str) -> None:
    head = ray_cluster(case(name))["headGroupSpec"]
    assert (head["rayStartParams"]["num-cpus"], *_gpus(head)) == ("0", "0", None, None)


@pytest.mark.parametrize("name", [name for name in CASES if name != "run-on-warm-cluster"])
def test_a_pod_requests_all_that_ray_and_its_volumes_may_use(name: str) -> None:
    cluster = ray_cluster(case(name))
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        spec = group["template"]["spec"]
        requests, limits = (spec["containers"][0]["resources"][key] for key in ("requests", "limits"))
        volumes = {volume["name"]: volume.get("emptyDir") for volume in spec["volumes"]}
        objects = int(group["rayStartParams"]["object-store-memory"])
        assert requests["memory"] == limits["memory"]
        assert int(group["rayStartParams"]["num-cpus"]) <= int(requests["cpu"])
        assert 75 * 2**20 <= objects < _bytes(volumes["shared-memory"]["sizeLimit"]) < _bytes(limits["memory"])
        assert volumes["shared-memory"]["medium"] == "Memory"
        assert _bytes(volumes["tmp"]["sizeLimit"]) <= _bytes(requests["ephemeral-storage"])


@pytest.mark.parametrize(
    ("size", "written"), [("8Gi", "8Gi"), ("1.5Gi", "1536Mi"), ("0.1Gi", "107374182"), ("1.5G", "1500000000")]
)
def test_a_size_is_written_as_kuberay_would_write_it_back(size: str, written: str) -> None:
    """Else Helm 4 takes it for the operator's, and refuses the next upgrade."""
    group = {"sharedMemory": size, "memory": "9.5Gi", "disk": "2.5Gi"}
    (container,), volumes = (
        ray_cluster(render(RUN, {"workers": group}))["workerGroupSpecs"][0]["template"]["spec"][key]
        for key in ("containers", "volumes")
    )
    limits = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in volumes}
    assert limits == {"tmp": "2560Mi", "shared-memory": written}
    requests = {"cpu": "8", "memory": "9728Mi", "ephemeral-storage": "2560Mi", "nvidia.com/gpu": "1"}
    assert container["resources"]["requests"] == requests


@pytest.mark.parametrize("size", ["80Mi", "1.5Gi", "1500M", "0.5Gi", "2G", "1234567k", "2000000Ki", "1234567890"])
def test_every_spelling_of_a_size_is_understood(size: str) -> None:
    head = ray_cluster(render(RUN, {"head": {"sharedMemory": size}}))["headGroupSpec"]
    objects = int(head["rayStartParams"]["object-store-memory"])
    assert objects == pytest.approx(0.95 * _bytes(size), rel=1e-9)


def test_an_override_of_resources_keeps_the_rest() -> None:
    (worker,) = ray_cluster(case("private-registry"))["workerGroupSpecs"]
    resources = worker["template"]["spec"]["containers"][0]["resources"]
    assert load_values("private-registry")["workers"]["resources"]["limits"] == {"ephemeral-storage": "40Gi"}
    assert resources["limits"] == {"memory": "24Gi", "amd.com/gpu": "1", "ephemeral-storage": "40Gi"}
    (head,) = ray_cluster(case("private-registry"))["headGroupSpec"]["template"]["spec"]["containers"]
    assert head["resources"]["limits"] == {"memory": "6Gi", "cpu": "4"}
    assert resources["requests"] == {"cpu": "8", **resources["limits"]}


def _workers(changes: Object) -> Object:
    return _groups(ray_cluster(render(RUN, changes)))["workers"]


def _groups(cluster: Object) -> dict[str, Any]:
    return {group["groupName"]: group for group in cluster["workerGroupSpecs"]}


def _replicas(group: Object) -> tuple[int, int, int]:
    return group["minReplicas"], group["replicas"], group["maxReplicas"]


def _gpus(group: Object) -> tuple[str, str | None, str | None]:
    """As Ray is told, as requested and as limited."""
    resources = group["template"]["spec"]["containers"][0]["resources"]
    found = [{key: n for key, n in resources[kind].items() if "/" in key} for kind in ("requests", "limits")]
    requested, limited = (next(iter(gpus.values()), None) for gpus in found)
    return group["rayStartParams"]["num-gpus"], requested, limited


def _bytes(quantity: str | int) -> float:
    number = str(quantity).rstrip("kMGTi" + "K")
    return float(number) * UNITS[str(quantity).removeprefix(number)]
