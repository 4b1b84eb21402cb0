"""Capacity: what a Ray cluster has, and how replicas and decoding share it."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from job.engines.devices import gpus_wanted
from job.errors import PreflightError
from job.settings import CAPACITY_TIMEOUT_S
from job.spec.spec import ComputeSpec
from job.stages.slots import Slots

log = logging.getLogger(__name__)

THREADS_PER_TASK = 4  # more of them wait for each other's Python
THREADS_BESIDE = 8  # of a replica's process, likewise: it is one, where tasks are several
POLL_S = 5


@dataclass(frozen=True)
class NodeSize:
    """What Ray was told of a node."""

    cpus: int
    gpus: float = 0.0

    def room(self, compute: ComputeSpec, gpus: float) -> int:
        """How many replicas of so many GPUs it holds."""
        by_cpu = self.cpus // compute.cpus_per_replica
        return min(compute.concurrency, by_cpu, int(self.gpus / gpus) if gpus else by_cpu)


@dataclass(frozen=True)
class Layout:
    """Where decoding goes: beside the model, each replica with threads of its own, or in tasks of its own. And why."""

    slots: Slots
    is_beside: bool
    reason: str

    def __str__(self) -> str:
        place = "beside the model" if self.is_beside else "in tasks of its own, through Ray's object store"
        return f"images are decoded {place}: {self.reason}"


def lay_out(nodes: Sequence[NodeSize], compute: ComputeSpec, gpus: float) -> Layout:
    """Beside the model, where no node that could decode idles and a process's threads can use its share of CPUs."""
    homes = [node for node in nodes if node.room(compute, gpus)]
    without = sum(1 for node in nodes if node.cpus) - min(len(homes), compute.concurrency)
    if without or not homes:
        slots = divide([node.cpus for node in nodes], compute)
        return Layout(slots, False, f"{without} of the nodes {'has' if without == 1 else 'have'} CPUs and no replica")
    most = max(node.room(compute, gpus) for node in homes)
    spare = min(node.cpus // node.room(compute, gpus) for node in homes) - compute.cpus_per_replica
    if spare > THREADS_BESIDE:
        slots = divide([node.cpus for node in nodes], compute)
        return Layout(slots, False, f"{spare} CPUs a replica are more than one process's threads can use")
    threads = max(1, spare)
    slots = Slots(threads * compute.concurrency, threads, compute.concurrency, most)
    return Layout(slots, True, f"with {threads} thread{'s' * (threads > 1)} a replica")


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
