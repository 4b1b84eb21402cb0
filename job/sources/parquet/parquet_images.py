"""Encoded images in a column of Parquet files, read by row. Used by the parquet source; holds a few rows at a time."""

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import ImageError, ObjectChanged, StoreError
from job.sources.container_files import reopen
from job.sources.object_images import read_object
from job.sources.parquet.parquet_columns import find_column, image_bytes, image_selectors
from job.sources.read_ahead import ReadAhead
from job.sources.relative_uris import resolve_one
from job.sources.source import Handle
from job.spec.limits import Limits
from job.stores.range_file import RangeFile
from job.stores.storage import Folder, open_folder

_ROWS = 16
_UNITS_AHEAD = 4
_STREAM_BYTES = 8 << 20


@dataclass(slots=True)
class _Unit:
    """Some rows of one file, in its order."""

    uri: str
    etag: str | None
    rows: list[int] = field(default_factory=list)


def open_parquet(folder: Folder, key: str, size: int, etag: str | None, stream: bool) -> pq.ParquetFile:
    """A Parquet file; `stream` reads its columns piece by piece, and not a row group's at once."""
    path = f"{folder.uri.removesuffix('/')}/{key}"
    source = RangeFile(folder, key, size, etag) if folder.is_remote else pa.OSFile(path)
    if stream:
        return pq.ParquetFile(source, buffer_size=_STREAM_BYTES, pre_buffer=False)
    return pq.ParquetFile(source, pre_buffer=folder.is_remote)


def read_images(rows: pa.Table, column: str, limits: Limits) -> Iterator[Handle]:
    """A handle for each row of `uri` (`FILE#ROW`), `etag` and `offset` (the row), in order; a thread reads ahead."""
    uris = [uri.rpartition("#")[0] for uri in rows["uri"].to_pylist()]
    units = _plan(uris, rows["etag"].to_pylist(), rows["offset"].to_pylist())
    cursor = _Cursor(column, limits)
    ahead = ReadAhead(
        lambda unit: cursor.read(units[unit]), [1] * len(units), [len(unit.rows) for unit in units], 1, _UNITS_AHEAD
    )
    try:
        for number, unit in enumerate(units):
            for position in range(len(unit.rows)):
                yield partial(_pick, ahead, number, position, limits)
    except GeneratorExit:
        ahead.close()
        raise


def _plan(uris: Sequence[str], etags: Sequence[str | None], rows: Sequence[int]) -> list[_Unit]:
    units: list[_Unit] = []
    for uri, etag, row in zip(uris, etags, rows, strict=True):
        last = units[-1] if units else None
        if last is None or last.uri != uri or len(last.rows) == _ROWS or row <= last.rows[-1]:
            units.append(_Unit(uri, etag))
        units[-1].rows.append(row)
    return units


def _pick(ahead: ReadAhead[list[bytes | ImageError | None]], unit: int, position: int, limits: Limits) -> bytes:
    data = ahead.take(unit)[position]
    if isinstance(data, ImageError):
        raise data
    if data is None:
        raise ImageError("missing", "the row holds no bytes")
    limits.check_size(len(data))
    return data


class _Cursor:
    """A place in a column: rows further on in the same row group are reached without reading it again."""

    def __init__(self, column: str, limits: Limits) -> None:
        self._name = column
        self._limits = limits
        self._opened = lru_cache(maxsize=32)(open_folder)
        self._lock = threading.Lock()
        self._uri: str | None = None
        self._etag: str | None = None

    def read(self, unit: _Unit) -> list[bytes | ImageError | None]:
        """The bytes of a unit's rows, None for a null, an error for one row's. Raises ImageError for all of them."""
        with self._lock:
            try:
                if (unit.uri, unit.etag) != (self._uri, self._etag):
                    self._open(unit)
                values = [self._value(row) for row in unit.rows]
                if not self._folder.is_remote:  # a bucket's reads are of this etag
                    _check_unchanged(self._folder, self._key, unit)
                return values
            except FileNotFoundError:
                raise ImageError("missing", f"{unit.uri} is gone") from None
            except ObjectChanged as error:
                self._uri = None
                raise ImageError("changed", str(error)) from error
            except (StoreError, pa.ArrowException, OSError, KeyError) as error:
                self._uri = None
                raise ImageError("unreadable", str(error)) from error

    def _open(self, unit: _Unit) -> None:
        self._folder, self._key = reopen(unit.uri)
        size = _check_unchanged(self._folder, self._key, unit)
        parquet = open_parquet(self._folder, self._key, size, unit.etag, stream=True)
        groups = range(parquet.num_row_groups)
        self._starts = [0, *accumulate(parquet.metadata.row_group(group).num_rows for group in groups)]
        column = find_column(parquet.schema_arrow, self._name)
        if column is None:
            raise StoreError(f"{unit.uri} has no column {self._name!r}, which was there when the plan was made")
        self._column = column
        self._parquet = parquet
        self._uri, self._etag = unit.uri, unit.etag
        self._first = self._stop = self._group_stop = 0

    def _value(self, row: int) -> bytes | ImageError | None:
        if not self._first <= row < self._group_stop:
            self._start_group(row)
        while row >= self._stop:
            batch = next(self._batches, None)
            if batch is None:
                raise StoreError(f"{self._uri}: row {row:,} was there when the plan was made and is not now")
            self._values = self._column.of(batch)
            self._first, self._stop = self._stop, self._stop + batch.num_rows
        try:
            value = image_bytes(self._values[row - self._first].as_py())
        except ValueError as error:
            return ImageError("unsupported", str(error))
        return self._read_path(value) if isinstance(value, str) else value

    def _read_path(self, path: str) -> bytes | ImageError:
        """An image that the row only names; rare, for where all of a row group do, the plan has their own URIs."""
        try:
            return read_object(self._opened, resolve_one(path, str(self._uri)), None, None, self._limits)
        except ImageError as error:
            return error

    def _start_group(self, row: int) -> None:
        if row >= self._starts[-1]:
            raise StoreError(f"{self._uri} has {self._starts[-1]:,} rows; row {row:,} was there when the plan was made")
        group = bisect_right(self._starts, row) - 1
        self._batches = self._parquet.iter_batches(_ROWS, row_groups=[group], columns=image_selectors(self._column))
        self._first = self._stop = self._starts[group]
        self._group_stop = self._starts[group + 1]


def _check_unchanged(folder: Folder, key: str, unit: _Unit) -> int:
    """The file's size in bytes. Raises FileNotFoundError, and ObjectChanged where it is another than was listed."""
    entry = folder.head(key, unit.etag)
    if entry is None:
        raise FileNotFoundError(unit.uri)
    return entry.size
