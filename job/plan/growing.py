"""A plan that may grow: a thread lists the source and freezes its parts, and the run works on those that are there."""

import threading
from collections.abc import Container, Iterator
from types import TracebackType
from typing import Self

from job.errors import OutputError, PreflightError, RunFailed, StoreError
from job.plan.chunks import CHUNK_IMAGES, Chunk, Chunks, chunk_images
from job.plan.freeze import Freezer
from job.plan.manifest import Manifest
from job.plan.paths import RunPaths
from job.plan.records import Part, Plan

STOP_TIMEOUT_S = 10.0


class ListingStopped(Exception):
    """The run ended before its source was listed."""


class GrowingPlan:
    """A context: while it is open, the rest of the source is listed, if there is a rest.

    Leaving it ends the listing at the next part; whoever waits for more is told so.
    """

    def __init__(self, plan: Plan, freezer: Freezer | None = None) -> None:
        """`plan` is what is frozen so far; `freezer` goes on with it, None where it is whole."""
        self._plan, self._freezer = plan, freezer
        self._parts: list[Part] = list(plan.parts)
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._list, name="listing", daemon=True)

    def __enter__(self) -> Self:
        if self._freezer:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            # A request that is under way may take longer, and what it brings harms nobody.
            self._thread.join(STOP_TIMEOUT_S)

    @property
    def so_far(self) -> Plan:
        """As far as it is frozen by now."""
        with self._changed:
            return self._plan

    def manifest(self, paths: RunPaths) -> Manifest:
        """Of the parts that are there, and in this process of those that come."""
        return Manifest(paths, self._parts)

    def whole(self) -> Plan:
        """Waits until the source is listed. Raises SourceError and StoreError, where that ended the listing."""
        with self._changed:
            self._changed.wait_for(lambda: self._plan.is_listed or self._is_over)
            if not self._plan.is_listed:
                self._raise()
            return self._plan

    def shard_rows(self, shard: int) -> int:
        return self.so_far.shard_rows(shard)

    def shards(self) -> Iterator[int]:
        """All shards, in order, each as soon as it is frozen.

        Raises RunFailed where the listing ended before the source: those that came were begun with.
        """
        shard = 0
        while True:
            with self._changed:
                while self._plan.shards <= shard:
                    if self._plan.is_listed:
                        return
                    if self._is_over:
                        self._raise_begun()
                    self._changed.wait()
                shards = self._plan.shards
            yield from range(shard, shards)
            shard = shards

    @property
    def _is_over(self) -> bool:
        return self._stopped or self._error is not None

    def _raise(self) -> None:
        raise self._error or ListingStopped("the run ended before its source was listed")

    def _raise_begun(self) -> None:
        """What says that nothing was started is not true any more."""
        if isinstance(self._error, (PreflightError, StoreError)):
            raise RunFailed(f"{self._error}; the run had begun, and what is committed stays") from self._error
        self._raise()

    def _list(self) -> None:
        freezer = self._freezer
        assert freezer is not None
        try:
            while not freezer.is_done:
                if self._stopped:
                    return
                freezer.freeze_part()
                if freezer.chain:
                    self._grow(freezer.chain.so_far())
            plan = freezer.close()
            if freezer.chain and _digests(plan) != _digests(freezer.chain.closed()):
                raise OutputError(
                    f"output.uri: a driver of an older version planned run {plan.run_id} meanwhile, with another "
                    "listing; start the run anew under another --run-id"
                )
            self._grow(plan)
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _grow(self, plan: Plan) -> None:
        with self._changed:
            self._parts.extend(plan.parts[len(self._parts) :])
            self._plan = plan
            self._changed.notify_all()


def _digests(plan: Plan) -> list[str]:
    return [part.sha256 for part in plan.parts]


class GrowingChunks:
    """Chunks of the shards that are not committed, as the plan grows."""

    def __init__(self, plan: GrowingPlan, committed: Container[int], batch_size: int) -> None:
        self._plan, self._committed, self._batch_size = plan, committed, batch_size

    def __iter__(self) -> Iterator[Chunk]:
        images = chunk_images(CHUNK_IMAGES, self._plan.so_far, self._batch_size)
        for shard in self._plan.shards():
            if shard in self._committed:
                continue
            rows = self._plan.shard_rows(shard)
            yield from (Chunk(shard, start, min(start + images, rows)) for start in range(0, rows, images))

    def whole(self) -> Chunks:
        plan = self._plan.whole()
        open_shards = tuple(shard for shard in range(plan.shards) if shard not in self._committed)
        images = chunk_images(CHUNK_IMAGES, plan, self._batch_size)
        return Chunks(open_shards, plan.rows_per_file, plan.images, images)
