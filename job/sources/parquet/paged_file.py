"""A Parquet file of which a chunk reads only the pages that have its rows. One for all chunks of a process.

What is no matter of pages (a list whose pages have no index, an encrypted column, a header that makes no sense) is left
to pyarrow, which reads a row group from its start.
"""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import StoreError
from job.sources.parquet.open_parquet import open_parquet
from job.sources.parquet.page_cut import MAGIC, PagesMetadata, RewrittenFooter, read_metadata
from job.sources.parquet.page_headers import read_offset_index, read_page_headers
from job.sources.parquet.page_runs import ColumnPlace, PageRuns
from job.sources.parquet.shared_reads import Data, SharedReads
from job.stores.folder import Folder

_FOOTER_BYTES = 64 << 10  # as pyarrow guesses; of a small file a twentieth
_PART_BYTES = 4 << 20
_PARTS_AT_ONCE = 8
_WINDOW_REMOTE, _WINDOW_LOCAL = 16 << 20, 1 << 20  # read at once where it is not known yet where a page ends
# Larger ones are few: pyarrow's of the first 1,024 images, which is of one page. Kept, they would be in the way.
_SHARED_DICTIONARY = 32 << 20
_OPEN_FILES = 8
_OPEN_GROUPS = 16

_shared = SharedReads()
_lock = threading.Lock()
_files: OrderedDict[tuple[str, str | None], "PagedFile"] = OrderedDict()


class Stretch(NamedTuple):
    """Rows `first` to `stop` of a file, in batches. `claim` says how many more rows somebody takes of it."""

    first: int
    stop: int
    batches: Iterator[pa.RecordBatch]
    claim: Callable[[int], None]


class PagedFile:
    """Its footer, and of the columns that were read where their pages are. Safe to use from several threads."""

    def __init__(self, folder: Folder, key: str, size: int, etag: str | None) -> None:
        """Raises ArrowException for what pyarrow does not read, and as `Folder.read_range` does."""
        self._folder, self._key, self._size, self._etag = folder, key, size, etag
        self._name = (folder.uri, key, etag)
        self._footer_bytes = self._read_footer()
        self.metadata = read_metadata(self._footer_bytes)
        self.schema = self.metadata.schema.to_arrow_schema()
        groups = range(self.metadata.num_row_groups)
        self.starts = [0, *accumulate(self.metadata.row_group(group).num_rows for group in groups)]
        self._lock = threading.Lock()
        self._runs: OrderedDict[tuple[int, int], PageRuns | ValueError] = OrderedDict()

    @cached_property
    def _footer(self) -> RewrittenFooter:
        return RewrittenFooter(self._footer_bytes)

    def leaf(self, selector: str) -> int | None:
        """The number of the one column that pyarrow reads by this name; None where there is not just one."""
        schema = self.metadata.schema
        paths = [schema.column(leaf).path for leaf in range(len(schema))]
        found = [leaf for leaf, path in enumerate(paths) if path == selector or path.startswith(f"{selector}.")]
        return found[0] if len(found) == 1 else None

    def stretch(self, leaf: int, selector: str, rows: Sequence[int], batch_rows: int) -> Stretch:
        """Rows from the first of `rows`, which are in order, and of which the others follow where they lie near.

        Raises ValueError where pages cannot be told apart.
        """
        group = bisect_right(self.starts, rows[0]) - 1
        first = self.starts[group]
        runs = self._runs_of(group, leaf)
        run, found = runs.find(rows[0] - first, min(_near_end(rows), self.starts[group + 1]) - first)
        start = first + run.first_row
        wanted = bisect_right(rows, start + run.rows - 1)
        data = _shared.get(
            (*self._name, run),
            wanted,
            run.rows,
            lambda: self._with_dictionary(runs, self._read(run.start, run.stop, found), run.rows),
        )
        values = sum(header.values for header in read_page_headers(data))
        if self._is_flat(leaf) and values != run.rows:
            raise ValueError(f"pages of {values:,} values stand for {run.rows:,} rows")
        metadata = self._footer.cut(group, leaf, PagesMetadata(run.rows, values, len(data)))
        parquet = pq.ParquetFile(pa.BufferReader(data), metadata=metadata, pre_buffer=False)
        batches = parquet.iter_batches(batch_rows, columns=[selector])
        return Stretch(start, start + run.rows, batches, lambda rows: _shared.claim((*self._name, run), rows))

    def _with_dictionary(self, runs: PageRuns, pages: Data, rows: int) -> Data:
        """The pages, behind the dictionary that they need."""
        place = runs.dictionary
        if place is None or not any(header.wants_dictionary for header in read_page_headers(pages)):
            return pages
        if place[1] - place[0] > _SHARED_DICTIONARY:
            return self._read(*place) + pages
        return _shared.get((*self._name, place), rows, runs.rows, lambda: self._read(*place)) + pages

    def whole_group(self, selector: str, row: int, batch_rows: int) -> Stretch:
        """The row group of a row from its start, read piece by piece."""
        group = bisect_right(self.starts, row) - 1
        batches = self.open_whole().iter_batches(batch_rows, row_groups=[group], columns=[selector])
        return Stretch(self.starts[group], self.starts[group + 1], batches, lambda rows: None)

    def open_whole(self) -> pq.ParquetFile:
        return open_parquet(self._folder, self._key, self._size, self._etag, stream=True)

    def _is_flat(self, leaf: int) -> bool:
        return int(self.metadata.schema.column(leaf).max_repetition_level) == 0

    def _runs_of(self, group: int, leaf: int) -> PageRuns:
        with self._lock:
            runs = self._runs.get((group, leaf))
            if runs is None:
                try:
                    runs = self._open_runs(group, leaf)
                except ValueError as error:
                    runs = error
                self._runs[group, leaf] = runs
            self._runs.move_to_end((group, leaf))
            if len(self._runs) > _OPEN_GROUPS:
                self._runs.popitem(last=False)
        if isinstance(runs, ValueError):
            raise runs
        return runs

    def _open_runs(self, group: int, leaf: int) -> PageRuns:
        if not self._footer.is_plain(group, leaf):  # asked for that of an encrypted column, pyarrow ends the process
            raise ValueError("the column is encrypted, or in another file")
        chunk = self.metadata.row_group(group).column(leaf)
        start, data = chunk.data_page_offset, chunk.data_page_offset
        dictionary = chunk.dictionary_page_offset
        if dictionary is not None and 0 < dictionary < data:
            start = dictionary
        stop = start + chunk.total_compressed_size
        rows = self.starts[group + 1] - self.starts[group]
        place = ColumnPlace(data, stop, rows, (start, data) if start < data else None)
        runs = PageRuns(place, self._read, _WINDOW_REMOTE if self._folder.is_remote else _WINDOW_LOCAL)
        index = self._footer.index_place(group, leaf)
        if index is not None:
            runs.add_index(read_offset_index(self._read(*index)))
        elif not self._is_flat(leaf):
            raise ValueError("the pages of a list have no index")
        return runs

    def _read_footer(self) -> bytes:
        size = self._size
        tail = self._read(size - min(size, max(8, min(_FOOTER_BYTES, size // 20))), size)
        length = int.from_bytes(tail[-8:-4], "little")
        if tail[-4:] != MAGIC or length + 8 > size:
            with self.open_whole():  # whose words say what is wrong
                raise StoreError(f"{self._key} is no Parquet file")
        if length + 8 > len(tail):
            tail = self._read(size - 8 - length, size - len(tail)) + tail
        return bytes(tail[len(tail) - 8 - length : len(tail) - 8])

    def _read(self, start: int, stop: int, found: bytes = b"") -> Data:
        """Bytes of the file, of which the first may be there; many are read in several requests at once.

        Raises as `Folder.read_range` does.
        """
        if len(found) < (stop - start) // 64:
            found = b""  # cheaper read again than copied
        behind = start + len(found)
        if not self._folder.is_remote or stop - behind <= _PART_BYTES:
            return found + self._part(behind, stop) if behind < stop else found
        data = bytearray(stop - start)
        data[: len(found)] = found
        starts = range(behind, stop, _PART_BYTES)
        parts = _pool().map(lambda first: self._part(first, min(stop, first + _PART_BYTES)), starts)
        for first, part in zip(starts, parts, strict=True):
            data[first - start : first - start + len(part)] = part
        return data

    def _part(self, start: int, stop: int) -> bytes:
        data = self._folder.read_range(self._key, start, stop - start, self._etag)
        if len(data) != stop - start:
            raise StoreError(f"{self._key} ends before byte {stop:,}; it was longer when it was listed")
        return data


def open_paged(folder: Folder, key: str, size: int, etag: str | None) -> PagedFile:
    """The file, which chunks of this process share. Raises as `PagedFile` does."""
    name = (f"{folder.uri}/{key}", etag)
    with _lock:
        if name in _files:
            _files.move_to_end(name)
            return _files[name]
    file = PagedFile(folder, key, size, etag)
    with _lock:
        file = _files.setdefault(name, file)
        if len(_files) > _OPEN_FILES:
            _files.popitem(last=False)
        return file


def _near_end(rows: Sequence[int]) -> int:
    """Where rows end of which most are wanted, from the first on; all of a chunk's, but for a few here and there."""
    count = len(rows)
    while rows[count - 1] - rows[0] > 4 * count:
        count //= 2
    return rows[count - 1] + 1


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_PARTS_AT_ONCE, "read-parquet")
