"""What an engine is, and which one a run gets. Both run the same two stages: `DecodeStage` and `TimedPredict`."""

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, Self

import pyarrow as pa

from job.errors import UsageError
from job.models.resolve import ResolvedModel
from job.plan.chunks import ChunkList
from job.spec.spec import ComputeSpec, ModelSpec
from job.stages.decode import DecodeStage
from job.stages.slots import Slots

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Work:
    """All that an engine is given."""

    chunks: ChunkList
    decode: DecodeStage
    model: ResolvedModel
    compute: ComputeSpec


class Engine(Protocol):
    """One way to run the stages, and a context: what takes long to start begins in the background as it is entered.

    Entering raises PreflightError. Leaving waits until all that was started is down.
    """

    name: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    @property
    def slots(self) -> Slots:
        """Waits until started, once. Raises PreflightError."""

    @property
    def spans_nodes(self) -> bool:
        """Whether replicas may be on other nodes than this process. Waits until started."""

    def choose_precision(self, model: ModelSpec) -> Callable[[], str | None]:
        """Begins to find out what `model.precision` is on a replica's device; the answer waits for it.

        None where the model chooses its own.
        """

    def block_images(self, batch_size: int) -> int:
        """How many images a decoded table holds at most."""

    def run(self, work: Work) -> Generator[pa.Table]:
        """Rows of every chunk, in any order, each with a timing column. Closing the iterator stops the work."""


def choose_engine(name: str | None, compute: ComputeSpec) -> Engine:
    """The engine of that name; None chooses Ray inside a Ray job or where RAY_ADDRESS is set, else this process.

    Raises UsageError for another name.
    """
    name = name or default_engine()
    if name not in ENGINES:
        raise UsageError(f"there is no engine {name!r}; use {' or '.join(ENGINES)}")
    if name == "ray":
        from job.engines.ray_data import RayEngine

        return RayEngine(compute)
    from job.engines.local import LocalEngine

    return LocalEngine(compute)


def default_engine() -> str:
    """Ray inside a Ray job or where RAY_ADDRESS is set, else this process."""
    return "ray" if "RAY_ADDRESS" in os.environ or "RAY_JOB_ID" in os.environ else "local"
