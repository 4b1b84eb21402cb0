"""Ray Data's own helpers, which a run with a fixed pool of replicas has no use for, kept from starting.

Each is an actor, a process of 100 MB and 1 to 2 seconds of CPU while the replicas start: one shares a cluster that
grows among datasets, and nothing runs before it has answered; one keeps where actors are, for locality of blocks that
are here a number each; one keeps figures for Ray's dashboard. Where a version of Ray Data has no such thing under its
name here, it starts what it likes.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.data._internal.execution.interfaces import ExecutionResources

_OPERATOR = "ray.data._internal.execution.operators.actor_pool_map_operator"


@contextmanager
def without_helpers(has_dashboard: bool) -> Iterator[None]:
    """For datasets that are executed meanwhile. Where there is a dashboard, its figures are kept."""
    stand_ins: dict[tuple[str, str], Any] = {
        ("ray.data._internal.execution.streaming_executor", "create_cluster_autoscaler"): FixedCluster,
        (_OPERATOR, "get_or_create_actor_location_tracker"): NoTracker,
        (_OPERATOR, "get_actor_locations"): lambda _: {},
    }
    if not has_dashboard:
        stand_ins["ray.data._internal.execution.streaming_executor", "_StatsManager"] = NoStats
        stand_ins["ray.data._internal.block_batching.iter_batches", "_StatsManager"] = NoStats
    before = []
    for (module_name, name), stand_in in stand_ins.items():
        module = importlib.import_module(module_name)
        if hasattr(module, name):
            before.append((module, name, getattr(module, name)))
            setattr(module, name, stand_in)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


class FixedCluster:
    """Stands for a `ClusterAutoscaler`: the run has what the cluster has, and asks for no more."""

    def __init__(self, *_: object, **__: object) -> None:
        """Whatever it is told of the dataset does not matter."""

    def try_trigger_scaling(self) -> None:
        """There is nothing to scale."""

    def on_executor_shutdown(self) -> None:
        """There is nothing to give back."""

    def get_total_resources(self) -> ExecutionResources:
        return ExecutionResources.from_resource_dict(ray.cluster_resources())


class NoTracker:
    """Stands for the handle of an `ActorLocationTracker`, in the driver and in each replica."""

    @property
    def update_actor_location(self) -> "NoTracker":
        return self

    def remote(self, *_: object) -> None:
        """Ray Data then takes the node that a replica was on when it started."""


class NoStats:
    """Stands for `_StatsManager`."""

    @staticmethod
    def register_dataset_to_stats_actor(*_: object, **__: object) -> None: ...

    @staticmethod
    def update_execution_metrics(*_: object, **__: object) -> None: ...

    @staticmethod
    def update_iteration_metrics(*_: object, **__: object) -> None: ...
