"""Chunks: parts of shards, the unit of work, as a shard is the unit of commit.

Chunks are numbered, never listed: a hundred million images are ten thousand open shards and some arithmetic.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from job.plan.records import Plan

CHUNK_IMAGES = 1000
CHUNKS_PER_SLOT = 4  # the last chunks of a run leave cores idle for a quarter of a slot's work at most


@dataclass(frozen=True)
class Chunk:
    """Rows `start` to `stop` of a shard."""

    shard: int
    start: int
    stop: int


class ChunkList(Protocol):
    """The chunks of a run, in order; perhaps more of them come while they are gone through."""

    def __iter__(self) -> Iterator[Chunk]:
        """Waits for those that are still to come. Raises RunFailed where the listing failed. One thread at a time."""

    def whole(self) -> "Chunks":
        """All of them, which waits until the last one is known. Raises what ended the listing."""


@dataclass(frozen=True)
class Chunks:
    """The open shards, cut: `len()` and an index, so that a worker can work out its own."""

    open_shards: tuple[int, ...]
    rows_per_file: int
    images: int
    chunk_images: int

    @property
    def per_shard(self) -> int:
        return math.ceil(self.rows_per_file / self.chunk_images)

    def __len__(self) -> int:
        if not self.open_shards:
            return 0
        last_rows = min(self.rows_per_file, self.images - self.open_shards[-1] * self.rows_per_file)
        return (len(self.open_shards) - 1) * self.per_shard + math.ceil(last_rows / self.chunk_images)

    def __iter__(self) -> Iterator[Chunk]:
        return map(self.__getitem__, range(len(self)))

    def whole(self) -> "Chunks":
        return self

    def __getitem__(self, index: int) -> Chunk:
        if not 0 <= index < len(self):
            raise IndexError(index)
        position, cut = divmod(index, self.per_shard)
        shard = self.open_shards[position]
        rows = min(self.rows_per_file, self.images - shard * self.rows_per_file)
        return Chunk(shard, cut * self.chunk_images, min((cut + 1) * self.chunk_images, rows))


def cut(plan: Plan, open_shards: Sequence[int], batch_size: int, slots: int) -> Chunks:
    """Chunks of about 1,000 images, fewer when one of the `slots` would idle, whole batches where a shard allows it."""
    rows = sum(plan.shard_rows(shard) for shard in open_shards)
    images = max(1, min(CHUNK_IMAGES, math.ceil(rows / max(1, slots * CHUNKS_PER_SLOT))))
    return Chunks(tuple(open_shards), plan.rows_per_file, plan.images, chunk_images(images, plan, batch_size))


def chunk_images(images: int, plan: Plan, batch_size: int) -> int:
    """About so many images, in whole batches where a shard allows it."""
    if images > batch_size:
        images -= images % batch_size
    elif images > batch_size // 2:
        images = batch_size
    return min(images, plan.rows_per_file)
