"""The manifest: the frozen listing, read a shard at a time by the driver and by every worker."""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import RunFailed
from job.plan.parts import without_head
from job.plan.paths import RunPaths
from job.plan.records import Part
from job.stores.folder import same_etag
from job.stores.range_file import RangeFile
from job.stores.storage import Folder, open_folder


@dataclass(frozen=True)
class Manifest:
    """The frozen listing, read a shard at a time; small enough to travel to every worker.

    `parts` may grow in the driver's process while the source is listed.
    """

    paths: RunPaths
    parts: Sequence[Part]

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
        file = pq.ParquetFile(source, metadata=self._metadata, pre_buffer=True)
        return without_head(file.read_row_group(number, columns=names))


@lru_cache(maxsize=4)
def _open_part(paths: RunPaths, number: int, part: Part) -> _OpenPart:
    folder, key = open_folder(paths.uri), part.file or paths.manifest_of_layout_1(number)
    entry = folder.head(key)
    if entry is None:
        raise RunFailed(
            f"{folder.uri} has no {key}: what `tench collect` leaves has none; name the run's own folder, or restore it"
        )
    # A copied run has new etags and the same bytes.
    if not same_etag(entry.etag, part.etag) and hashlib.sha256(folder.read(key)).hexdigest() != part.sha256:
        raise RunFailed(
            f"{folder.uri}/{key} is not what {RunPaths.plan} froze; start the run anew under another --run-id"
        )
    return _OpenPart(folder, key, entry.size)
