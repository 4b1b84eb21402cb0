"""Labels of image files from a table beside them: CSV, TSV or JSON Lines, one image a line.

The lines lie in a private file of SQLite's, not in memory: a listing asks for its labels a table at a time.
"""

import csv
import io
import json
import posixpath
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pyarrow as pa

from job.errors import SourceError
from job.sources.label_values import json_label
from job.sources.left_out import LeftOutCounts
from job.spec.spec import FilesSource
from job.stores.range_file import RangeFile
from job.stores.storage import open_folder, split_uri
from job.stores.uris import canonical, named_plainly

UNLABELLED = "images without a line in source.label_file, which have no expected label"
UNUSED = "lines of source.label_file without an image"
REPEATED = "lines of source.label_file that name an image once more"

_BUFFER_BYTES = 4 << 20
_NO_LABEL = ("", "NaN")
# A cell may hold more than the 128 KiB that Python's reader takes by default.
_LARGEST_CELL = 16 << 20

Line = tuple[str | None, str | None]  # of name and label


class LabelFile:
    """The label of each key below a source's folder."""

    def __init__(self, database: sqlite3.Connection, lines: int, example: str | None) -> None:
        self._database = database
        self._lines, self._example = lines, example
        self._used = self._images = 0

    @classmethod
    @contextmanager
    def read(cls, spec: FilesSource, root: str, left_out: LeftOutCounts) -> "Iterator[LabelFile]":
        """The spec's label file for keys below `root`, the folder's URI. Raises SourceError where it is none."""
        database = sqlite3.connect("", check_same_thread=False)  # a temporary file, gone when it is closed
        try:
            for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"):
                database.execute(f"PRAGMA {setting}")
            database.execute("CREATE TABLE labels (key TEXT PRIMARY KEY, label TEXT) WITHOUT ROWID")
            uri = str(spec.label_file)
            names = _Keys(uri, root)
            lines, example = 0, None
            for name, label in _lines(uri, spec.name_column, spec.label_column):
                if name is None:
                    raise SourceError(f"source.label_file: line {lines + 1:,} of {uri} has no {spec.name_column}")
                added = database.execute("INSERT OR IGNORE INTO labels VALUES (?, ?)", (names.key(name), label))
                left_out.add(REPEATED, 1 - added.rowcount, name)
                lines, example = lines + added.rowcount, example or name
            yield cls(database, lines, example)
        finally:
            database.close()

    def labels(self, keys: pa.ChunkedArray) -> pa.Array:
        """A label or null for each key."""
        find = "SELECT label FROM labels WHERE key = ?"
        found = [self._database.execute(find, (key,)).fetchone() for key in keys.to_pylist()]
        self._images += len(found)
        self._used += sum(row is not None for row in found)
        return pa.array([row and row[0] for row in found], pa.string())

    def count(self, spec: FilesSource, left_out: LeftOutCounts, image: str) -> None:
        """Counts what did not meet, once all of the source is listed. Raises SourceError where nothing did."""
        if not self._used:
            raise SourceError(
                f"source.label_file: none of the {self._lines:,} lines of {spec.label_file} names an image of the "
                f"source: {spec.name_column} is {self._example!r} there, and an image is {image!r}"
            )
        left_out.add(UNLABELLED, self._images - self._used)
        left_out.add(UNUSED, self._lines - self._used)


class _Keys:
    """From a name in the file to a key below the source's folder."""

    def __init__(self, uri: str, root: str) -> None:
        self._root = f"{named_plainly(root)}/"
        folder, name = split_uri(uri)
        place = f"{named_plainly(folder)}/{name}"
        is_inside = place.startswith(self._root)
        self._folder = place[len(self._root) :].rpartition("/")[0] if is_inside else ""

    def key(self, name: str) -> str:
        """Names are relative to the file where it lies in the source, else to the source, or whole URIs."""
        if "://" not in name and not name.startswith(("/", "file:")):
            return posixpath.normpath(posixpath.join(self._folder, name))
        try:
            return named_plainly(canonical(name)).removeprefix(self._root)
        except ValueError:
            return name


def _lines(uri: str, name_column: str, label_column: str) -> Iterator[Line]:
    root, key = split_uri(uri)
    try:
        source = RangeFile(open_folder(root), key)
    except FileNotFoundError:
        raise SourceError(f"source.label_file: there is no {uri}") from None
    with io.TextIOWrapper(cast(Any, io.BufferedReader(source, _BUFFER_BYTES)), "utf-8-sig", newline="") as text:
        try:
            if key.casefold().endswith((".jsonl", ".ndjson", ".json")):
                yield from _json_lines(text, uri, name_column, label_column)
            else:
                delimiter = "\t" if key.casefold().endswith(".tsv") else ","
                yield from _csv_lines(text, uri, name_column, label_column, delimiter)
        except (UnicodeDecodeError, csv.Error) as error:
            raise SourceError(f"source.label_file: {uri} is not text that can be read: {error}") from error


def _csv_lines(text: io.TextIOWrapper, uri: str, name_column: str, label_column: str, delimiter: str) -> Iterator[Line]:
    csv.field_size_limit(_LARGEST_CELL)
    rows = csv.reader(text, delimiter=delimiter)
    header = next(rows, [])
    places = []
    for field, name in (("name_column", name_column), ("label_column", label_column)):
        if name not in header:
            raise SourceError(f"source.{field}: {uri} has no column {name!r}; its columns are {', '.join(header)}")
        places.append(header.index(name))
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) <= max(places):
            raise SourceError(f"source.label_file: line {number:,} of {uri} has {len(row)} of {len(header)} columns")
        yield row[places[0]] or None, None if row[places[1]] in _NO_LABEL else row[places[1]]


def _json_lines(text: io.TextIOWrapper, uri: str, name_column: str, label_column: str) -> Iterator[Line]:
    has_label = False
    keys: list[str] = []
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise SourceError(f"source.label_file: line {number:,} of {uri} is not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get(name_column), str):
            raise SourceError(
                f"source.name_column: line {number:,} of {uri} has no text {name_column!r}: {line[:80]!r}"
            )
        has_label, keys = has_label or label_column in row, keys or list(row)
        yield row[name_column], _json_label(row.get(label_column), number, uri)
    if keys and not has_label:
        raise SourceError(
            f"source.label_column: no line of {uri} has {label_column!r}; the first has {', '.join(keys)}"
        )


def _json_label(value: Any, number: int, uri: str) -> str | None:
    if isinstance(value, dict | list):
        raise SourceError(
            f"source.label_column: line {number:,} of {uri}: a label is a text or a number, not {value!r}"
        )
    return None if value in _NO_LABEL else json_label(value)
