"""Engines turn chunks into tables of rows, and know nothing of commits.

Both run the same two stages: `DecodeStage` on chunks, `PredictStage` on what it yields.
"""

import os
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from job.plan.shards import Chunks
from job.spec.spec import ComputeSpec, ModelSpec
from job.stages.decode import DecodeStage


@dataclass(frozen=True)
class Work:
    """All that an engine is given."""

    chunks: Chunks
    decode: DecodeStage
    model: ModelSpec
    compute: ComputeSpec


@dataclass(frozen=True)
class Slots:
    """How much of each stage runs at once: threads that decode, in tasks of so many, and replicas that predict."""

    decode_threads: int
    threads_per_task: int
    replicas: int


class Engine(Protocol):
    """One way to run the stages."""

    name: str

    def start(self) -> None:
        """Begins what takes long, in the background; the plan is made meanwhile. Raises PreflightError."""

    def slots(self) -> Slots:
        """Waits until started."""

    def block_images(self, batch_size: int) -> int:
        """How many images a decoded table holds at most."""

    def run(self, work: Work) -> Generator[pa.Table]:
        """Rows of every chunk, in any order, each with a timing column. Closing the iterator stops the engine."""

    def stop(self) -> None:
        """Gives back what `start` took; may be called twice."""


def choose(name: str | None, compute: ComputeSpec) -> Engine:
    """The engine of that name; None chooses Ray inside a Ray job or where RAY_ADDRESS is set, else this process."""
    if (name or ("ray" if "RAY_ADDRESS" in os.environ or "RAY_JOB_ID" in os.environ else "local")) == "ray":
        from job.engines.ray_data import RayEngine

        return RayEngine(compute)
    from job.engines.local import LocalEngine

    return LocalEngine(compute)


def cores() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
