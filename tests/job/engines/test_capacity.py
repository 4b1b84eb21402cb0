"""Capacity: how replicas and decoding share a cluster of several nodes, and what is said where it is too small."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from colours import make_image
from hypothesis import given
from hypothesis import strategies as st

from job.engines.capacity import THREADS_PER_TASK, NodeSize, divide, lay_out
from job.spec.spec import ComputeSpec

TESTS = Path(__file__).resolve().parents[2]
# A head without CPUs and two workers of two, as KubeRay makes them.
ON_A_CLUSTER = """
import os, sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
for _ in range(2):
    cluster.add_node(num_cpus=2)
os.environ["RAY_ADDRESS"] = cluster.address
from run_specs import make_spec, read_predictions, run_here
from job.terminal.console import exit_code
def run(replicas, gpus):
    compute = {"concurrency": replicas, "gpus_per_replica": gpus, "batch_size": 8}
    print(len(read_predictions(run_here(make_spec(sys.argv[1], compute=compute), "ray").paths)))
print("exit code", exit_code(lambda: run(4, 1.0), verbose=False))
print("exit code", exit_code(lambda: run(2, 0.0), verbose=False))
os._exit(0)
"""


def run_on_a_cluster(folder):
    """The process: a Ray of several nodes does not share this one with the tests of a Ray of one."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
        "TENCH_CAPACITY_TIMEOUT_S": "1",
        "RAY_AUTH_MODE": "disabled",
    }
    command = [sys.executable, "-c", ON_A_CLUSTER, str(folder)]
    # Its own folder: Ray notes the cluster there, and whatever else starts Ray on this machine would join it.
    with tempfile.TemporaryDirectory(prefix="ray") as short:
        environment["RAY_TMPDIR"] = short
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=True)


@pytest.fixture
def folder(tmp_path):
    for index in range(40):
        path = tmp_path / "images" / "red" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_image("red", index))
    return tmp_path


@pytest.mark.slow
def test_a_cluster_that_is_too_small_is_told_and_two_replicas_on_two_nodes_leave_each_a_cpu_to_decode(folder):
    done = run_on_a_cluster(folder)
    assert done.stdout.splitlines() == ["exit code 3", "40", "exit code 0"], done.stderr
    assert "has 0 of 4 GPUs and 4 of 5 CPUs that 4 replicas and one decode task need" in done.stderr


@given(
    cpus_by_node=st.lists(st.integers(1, 64), min_size=1, max_size=8),
    cpus_per_replica=st.integers(1, 4),
    data=st.data(),
)
def test_some_node_has_room_for_a_decode_task_however_replicas_are_spread(cpus_by_node, cpus_per_replica, data):
    free = list(cpus_by_node)
    replicas = 0
    while replicas < 8 and (roomy := [node for node, cpus in enumerate(free) if cpus >= cpus_per_replica]):
        if sum(free) - cpus_per_replica < 1 or not data.draw(st.booleans() if replicas else st.just(True)):
            break
        free[data.draw(st.sampled_from(roomy))] -= cpus_per_replica
        replicas += 1
    if not replicas:
        return
    slots = divide([0, *cpus_by_node], ComputeSpec(concurrency=replicas, cpus_per_replica=cpus_per_replica))
    assert slots.decode_threads == sum(free)
    assert 1 <= slots.threads_per_task <= min(THREADS_PER_TASK, max(free))


HEAD = NodeSize(0)
LAYOUTS = {
    "a replica on this machine": ([NodeSize(3)], 1, 1, 0, "beside the model: with 2 threads a replica"),
    "two share this machine": ([NodeSize(6)], 2, 1, 0, "beside the model: with 2 threads a replica"),
    "none is left to decode": ([NodeSize(2), NodeSize(2)], 2, 1, 0, "beside the model: with 1 thread a replica"),
    "pods of a GPU": ([HEAD, *[NodeSize(8, 1)] * 4], 4, 1, 1, "beside the model: with 7 threads a replica"),
    "pods of two": ([HEAD, *[NodeSize(16, 2)] * 2], 4, 2, 1, "beside the model: with 6 threads a replica"),
    "shared GPUs": ([HEAD, NodeSize(8, 1)], 2, 1, 0.5, "beside the model: with 3 threads a replica"),
    "pods that decode": ([HEAD, NodeSize(8, 1), NodeSize(8)], 1, 8, 1, "store: 1 of the nodes has CPUs and no replica"),
    "more pods than replicas": ([NodeSize(8)] * 3, 1, 1, 0, "store: 2 of the nodes have CPUs and no replica"),
    "many CPUs": (
        [HEAD, NodeSize(32, 1)],
        1,
        1,
        1,
        "store: 31 CPUs a replica are more than one process's threads can use",
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_decoding_goes_beside_the_model_where_no_cpu_is_left_out_by_it_and_the_log_says_why(case):
    nodes, replicas, cpus, gpus, said = LAYOUTS[case]
    layout = lay_out(nodes, ComputeSpec(concurrency=replicas, cpus_per_replica=cpus), gpus)
    assert str(layout).endswith(said)
    assert layout.is_beside == ("beside" in said)
    assert layout.slots.replicas == replicas
    if layout.is_beside:
        assert layout.slots.decode_tasks == replicas
