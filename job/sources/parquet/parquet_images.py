"""Encoded images in a column of Parquet files, read by row. Used by the parquet source; holds a few rows at a time."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import pyarrow as pa

from job.errors import ImageError, ObjectChanged, StoreError
from job.sources.container_files import reopen
from job.sources.object_images import read_object
from job.sources.parquet.column_cursor import ColumnCursor
from job.sources.parquet.paged_file import open_paged
from job.sources.parquet.parquet_columns import bytes_column, find_column, image_bytes, path_column
from job.sources.read_ahead import ReadAhead
from job.sources.relative_uris import resolve_one
from job.sources.source import Handle
from job.spec.limits import Limits
from job.stores.storage import Folder, is_bucket, open_folder

_ROWS = 16
_AHEAD_REMOTE, _AHEAD_LOCAL = 32 << 20, 8 << 20
_GUESSED_BYTES = 2 << 20  # of as many images


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one file, each behind the one before."""

    uri: str
    etag: str | None
    rows: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Some of them: those from `start`."""

    of: _Rows
    start: int
    count: int


def read_images(rows: pa.Table, column: str, limits: Limits) -> Iterator[Handle]:
    """A handle for each row of `uri` (`FILE#ROW`), `etag` and `offset` (the row), in order; a thread reads ahead."""
    uris = [uri.rpartition("#")[0] for uri in rows["uri"].to_pylist()]
    units = _plan(uris, rows["etag"].to_pylist(), rows["offset"].to_pylist())
    cursor = _Cursor(column, limits)
    ahead = ReadAhead(
        lambda unit: cursor.read(units[unit]),
        [_GUESSED_BYTES] * len(units),
        [unit.count for unit in units],
        threads=1,
        budget=_AHEAD_REMOTE if any(map(is_bucket, {unit.of.uri for unit in units})) else _AHEAD_LOCAL,
        cost_of=lambda images: sum(len(image) for image in images if isinstance(image, bytes)),
    )
    try:
        for number, unit in enumerate(units):
            for position in range(unit.count):
                yield partial(_pick, ahead, number, position, limits)
    except GeneratorExit:
        ahead.close()
        raise


def _plan(uris: Sequence[str], etags: Sequence[str | None], rows: Sequence[int]) -> list[_Unit]:
    files: list[_Rows] = []
    for uri, etag, row in zip(uris, etags, rows, strict=True):
        if not files or files[-1].uri != uri or row <= files[-1].rows[-1]:
            files.append(_Rows(uri, etag))
        files[-1].rows.append(row)
    return [
        _Unit(each, start, min(_ROWS, len(each.rows) - start))
        for each in files
        for start in range(0, len(each.rows), _ROWS)
    ]


def _pick(ahead: ReadAhead[list[bytes | ImageError | None]], unit: int, position: int, limits: Limits) -> bytes:
    data = ahead.take(unit)[position]
    if isinstance(data, ImageError):
        raise data
    if data is None:
        raise ImageError("missing", "the row holds no bytes")
    limits.check_size(len(data))
    return data


class _Cursor:
    """A place in a file: rows further on are reached without reading it again."""

    def __init__(self, column: str, limits: Limits) -> None:
        self._name = column
        self._limits = limits
        self._opened = lru_cache(maxsize=32)(open_folder)
        self._lock = threading.Lock()
        self._open_file: tuple[str, str | None] | None = None

    def read(self, unit: _Unit) -> list[bytes | ImageError | None]:
        """The bytes of a unit's rows, None for a null, an error for one row's. Raises ImageError for all of them."""
        with self._lock:
            try:
                if (unit.of.uri, unit.of.etag) != self._open_file:
                    self._open(unit.of)
                values = [self._value(unit.of, place) for place in range(unit.start, unit.start + unit.count)]
                if not self._folder.is_remote:  # a bucket's reads are of this etag
                    _check_unchanged(self._folder, self._key, unit.of)
                return values
            except FileNotFoundError:
                self._open_file = None
                raise ImageError("missing", f"{unit.of.uri} is gone") from None
            except ObjectChanged as error:
                self._open_file = None
                raise ImageError("changed", str(error)) from error
            except (StoreError, pa.ArrowException, OSError, KeyError) as error:
                self._open_file = None
                raise ImageError("unreadable", str(error)) from error

    def _open(self, rows: _Rows) -> None:
        self._folder, self._key = reopen(rows.uri)
        size = _check_unchanged(self._folder, self._key, rows)
        self._file = open_paged(self._folder, self._key, size, rows.etag)
        column = find_column(self._file.schema, self._name)
        if column is None:
            raise StoreError(f"{rows.uri} has no column {self._name!r}, which was there when the plan was made")
        path = path_column(column)
        self._images = ColumnCursor(self._file, bytes_column(column))
        self._paths = ColumnCursor(self._file, path) if path else None
        self._open_file = rows.uri, rows.etag

    def _value(self, rows: _Rows, place: int) -> bytes | ImageError | None:
        if rows.rows[place] >= self._file.starts[-1]:
            said = f"{rows.uri} has {self._file.starts[-1]:,} rows"
            raise StoreError(f"{said}; row {rows.rows[place]:,} was there when the plan was made")
        try:
            value = image_bytes(self._images.value(rows.rows, place))
        except ValueError as error:
            return ImageError("unsupported", str(error))
        if value is None and self._paths is not None:
            value = image_bytes({"bytes": None, "path": self._paths.value(rows.rows, place)})
        return self._read_path(value, rows.uri) if isinstance(value, str) else value

    def _read_path(self, path: str, uri: str) -> bytes | ImageError:
        """An image that the row only names; rare, for where all of a row group do, the plan has their own URIs."""
        try:
            return read_object(self._opened, resolve_one(path, uri), None, None, self._limits)
        except ImageError as error:
            return error


def _check_unchanged(folder: Folder, key: str, rows: _Rows) -> int:
    """The file's size in bytes. Raises FileNotFoundError, and ObjectChanged where it is another than was listed."""
    entry = folder.head(key, rows.etag)
    if entry is None:
        raise FileNotFoundError(rows.uri)
    return entry.size
