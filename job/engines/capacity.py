"""Capacity: what a Ray cluster has, and how replicas and decode tasks share it."""

import logging
import math
import time
from collections.abc import Sequence

from job.engines.devices import gpus_wanted
from job.errors import PreflightError
from job.settings import CAPACITY_TIMEOUT_S
from job.spec.spec import ComputeSpec
from job.stages.slots import Slots

log = logging.getLogger(__name__)

THREADS_PER_TASK = 4  # more of them wait for each other's Python
POLL_S = 5


def divide(cpus_by_node: Sequence[int], compute: ComputeSpec) -> Slots:
    """What the replicas leave, in decode tasks that some node has room for, however the replicas are spread."""
    nodes = sum(1 for cpus in cpus_by_node if cpus)
    spare = max(1, sum(cpus_by_node) - compute.concurrency * compute.cpus_per_replica)
    # A node has at least the average to spare. As many threads as cut it into equal tasks of at most THREADS_PER_TASK.
    average = max(1, spare // max(1, nodes))
    threads = average // math.ceil(average / THREADS_PER_TASK)
    tasks_per_machine = max(1, max(cpus_by_node, default=1) // threads)
    return Slots(spare, threads, compute.concurrency, tasks_per_machine)


def await_capacity(compute: ComputeSpec) -> None:
    """Waits until the cluster has what the replicas and one decode task need: a new head is there before its workers.

    Raises PreflightError with what is missing; Ray itself would wait for ever, and say so in its own log only.
    """
    import ray

    replicas = compute.concurrency
    needed = {"GPU": replicas * gpus_wanted(compute), "CPU": replicas * compute.cpus_per_replica + 1}
    deadline = time.monotonic() + CAPACITY_TIMEOUT_S.value()
    while True:
        found = ray.cluster_resources()
        short = [f"{found.get(kind, 0):g} of {n:g} {kind}s" for kind, n in needed.items() if found.get(kind, 0) < n]
        if not short:
            return
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise PreflightError(
                f"the Ray cluster has {' and '.join(short)} that {replicas} replicas and one decode task need; give it "
                "more workers, or lower compute.concurrency"
            )
        log.info("waiting for workers: the Ray cluster has %s", " and ".join(short))
        time.sleep(min(POLL_S, left_s))
