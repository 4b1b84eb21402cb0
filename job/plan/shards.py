"""Shards and chunks: which rows are still to do, and the manifest's rows of one shard.

A shard is the unit of commit; a chunk is a part of a shard, the unit of work. Chunks are numbered, never listed: a
hundred million images are ten thousand open shards and some arithmetic.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import RunFailed
from job.plan.paths import RunPaths
from job.plan.plan import Part, Plan
from job.stores.range_file import RangeFile
from job.stores.storage import Folder, open_folder

CHUNK_IMAGES = 1000
CHUNKS_PER_SLOT = 4  # the last chunks of a run leave cores idle for a quarter of a slot's work at most


@dataclass(frozen=True)
class Chunk:
    """Rows `start` to `stop` of a shard."""

    shard: int
    start: int
    stop: int


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
    if images > batch_size:
        images -= images % batch_size
    elif images > batch_size // 2:
        images = batch_size
    return Chunks(tuple(open_shards), plan.rows_per_file, plan.images, min(images, plan.rows_per_file))


@dataclass(frozen=True)
class Manifest:
    """The frozen listing, read a shard at a time; small enough to travel to every worker."""

    paths: RunPaths
    parts: tuple[Part, ...]

    def rows(self, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The manifest's rows of a shard, in order; all columns, or those of `columns` that are there."""
        number = bisect_right(self.parts, shard, key=lambda part: part.first_shard) - 1
        part = _open_part(self.paths, number, self.parts[number])
        return part.row_group(shard - self.parts[number].first_shard, columns)


class _OpenPart:
    """A part whose footer is read. Each row group is read through a file of its own: a file has one position."""

    def __init__(self, folder: Folder, key: str, size: int) -> None:
        self._folder, self._key, self._size = folder, key, size
        file = pq.ParquetFile(RangeFile(folder, key, size))
        self._metadata, self._names = file.metadata, file.schema_arrow.names

    def row_group(self, number: int, columns: Sequence[str] | None) -> pa.Table:
        names = None if columns is None else [name for name in columns if name in self._names]
        source = RangeFile(self._folder, self._key, self._size)
        return pq.ParquetFile(source, metadata=self._metadata, pre_buffer=True).read_row_group(number, columns=names)


@lru_cache(maxsize=4)
def _open_part(paths: RunPaths, number: int, part: Part) -> _OpenPart:
    folder, key = open_folder(paths.uri), paths.manifest(number)
    entry = folder.head(key)
    # A copied run has new etags and the same bytes.
    if entry is None or (entry.etag != part.etag and hashlib.sha256(folder.read(key)).hexdigest() != part.sha256):
        raise RunFailed(
            f"{folder.uri}/{key} is not what {RunPaths.plan} froze; start the run anew under another --run-id"
        )
    return _OpenPart(folder, key, entry.size)
