"""The rows of a list of URIs, streamed from text: one URI a line, CSV, or JSON Lines. Used by the list source.

Each format yields tables of `uri` (a null names no image), the columns that were asked for, and `line`, which counts
from 1; in a CSV it counts the rows, since a value may hold line breaks, and `line_of` tells the line.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv

from job.errors import SourceError
from job.sources.container_files import ContainerFile
from job.sources.left_out import LeftOutCounts
from job.sources.lists.text_stream import open_lines, open_stream
from job.stores.folder import ROWS_PER_TABLE

# In the order of preference; the first is imagefolder's.
URI_COLUMNS = ("file_name", "uri", "url", "path")
LINE = "line"
_BLOCK_BYTES = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")


class ListFormat(Protocol):
    """One file's columns and rows."""

    def columns(self) -> Sequence[str] | None:
        """Their names, None where each row may have others."""

    def rows(self, uri_column: str | None, others: Sequence[str]) -> Iterator[pa.Table]:
        """As above; the other columns have any type."""

    def line_of(self, line: int) -> int:
        """The line of the file where such a row ends."""


class Lines:
    """One URI a line. A line that is empty is none."""

    def __init__(self, file: ContainerFile, left_out: LeftOutCounts) -> None:
        self._file = file
        self._left_out = left_out

    def columns(self) -> Sequence[str]:
        return []

    def rows(self, _uri_column: str | None, _others: Sequence[str]) -> Iterator[pa.Table]:
        with open_lines(self._file) as text:
            for start in count(1, ROWS_PER_TABLE):
                lines = [line.rstrip("\r\n") for line in islice(text, ROWS_PER_TABLE)]
                if not lines:
                    return
                table = pa.table({"uri": lines, LINE: pa.array(range(start, start + len(lines)), pa.int64())})
                if blank := sum(not line.strip() for line in lines):
                    self._left_out.add("empty lines", blank, self._file.uri)
                    table = table.filter(pa.array([bool(line.strip()) for line in lines], pa.bool_()))
                yield table

    def line_of(self, line: int) -> int:
        return line


class Csv:
    """A CSV with a header, by whichever of the usual delimiters its header has. All values are texts or null."""

    def __init__(self, file: ContainerFile, delimiter: str | None = None) -> None:
        self._file = file
        self._delimiter = delimiter

    def columns(self) -> Sequence[str]:
        return self._header()[1]

    def rows(self, uri_column: str | None, others: Sequence[str]) -> Iterator[pa.Table]:
        asked = [name for name in (uri_column, *others) if name is not None]
        row = 1
        for table in self.tables(asked):
            found = {LINE: pa.array(range(row, row + table.num_rows), pa.int64())}
            found |= {name: table[name] for name in others}
            found["uri"] = table[uri_column] if uri_column is not None else pa.nulls(table.num_rows, pa.string())
            yield pa.table(found)
            row += table.num_rows

    def tables(self, columns: Sequence[str], names: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Some columns; `names` are those of a file without a header."""
        delimiter = self._delimiter or ("," if names else self._header()[0])
        with open_stream(self._file) as stream:
            reader = pa_csv.open_csv(
                stream,
                pa_csv.ReadOptions(block_size=_BLOCK_BYTES, column_names=list(names) if names else None),
                pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    include_columns=list(dict.fromkeys(columns)),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
            for batch in reader:
                for start in range(0, batch.num_rows, ROWS_PER_TABLE):
                    yield pa.Table.from_batches([batch.slice(start, ROWS_PER_TABLE)])

    def line_of(self, line: int) -> int:
        delimiter, _ = self._header()
        with open_lines(self._file) as text:
            reader = csv.reader(text, delimiter=delimiter)
            rows = (reader.line_num for values in reader if values)
            return next(islice(rows, line, None), line)

    def _header(self) -> tuple[str, Sequence[str]]:
        """The delimiter and the names."""
        with open_lines(self._file) as text:
            start = text.read(_BLOCK_BYTES)
        for delimiter in [self._delimiter] if self._delimiter else _DELIMITERS:
            names = next(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter), [])
            if len(names) > 1 or delimiter == self._delimiter:
                return delimiter, names
        return _DELIMITERS[0], next(csv.reader(io.StringIO(start, newline="")), [])


class JsonLines:
    """An object a line; `a.b` is a key of a key. Values are as JSON has them."""

    def __init__(self, file: ContainerFile) -> None:
        self._file = file

    def columns(self) -> None:
        return None

    def rows(self, uri_column: str | None, others: Sequence[str]) -> Iterator[pa.Table]:
        with open_lines(self._file) as text:
            objects = self._objects(text)
            while batch := list(islice(objects, ROWS_PER_TABLE)):
                found = {LINE: pa.array([line for line, _ in batch], pa.int64())}
                uris = [None if uri_column is None else _value(each, uri_column) for _, each in batch]
                found["uri"] = self._texts(uris, batch, str(uri_column))
                found |= {name: _as_array([_value(each, name) for _, each in batch]) for name in others}
                yield pa.table(found)

    def first(self) -> Mapping[str, Any]:
        """The first object, {} where there is none."""
        with open_lines(self._file) as text:
            return next((each for _, each in self._objects(text)), {})

    def line_of(self, line: int) -> int:
        return line

    def _objects(self, text: io.TextIOWrapper) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except ValueError as error:
                raise SourceError(f"source.uri: {self._file.uri}, line {number:,} is no JSON: {error}") from error
            if not isinstance(found, dict):
                raise SourceError(
                    f"source.uri: {self._file.uri}, line {number:,} is no JSON object: {line.strip():.60}"
                )
            yield number, found

    def _texts(self, values: Sequence[Any], batch: Sequence[tuple[int, object]], name: str) -> pa.Array:
        for (line, _), value in zip(batch, values, strict=True):
            if value is not None and not isinstance(value, str):
                said = f"{self._file.uri}, line {line:,}: {name!r} must be a text, not {value!r:.60}"
                raise SourceError(f"source.uri_column: {said}")
        return pa.array(values, pa.string())


def _value(row: Mapping[str, Any], name: str) -> Any:
    """The value of a key; of one with dots first the key that is called so."""
    if name in row:
        return row[name]
    for place in (place for place in range(len(name) - 1, 0, -1) if name[place] == "."):
        inner = row.get(name[:place])
        if isinstance(inner, dict):
            return _value(inner, name[place + 1 :])
    return None


def _as_array(values: Sequence[Any]) -> pa.Array:
    """JSON's values with their type; as JSON texts where they have none in common."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([as_json_text(value) for value in values], pa.string())


def as_json_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
