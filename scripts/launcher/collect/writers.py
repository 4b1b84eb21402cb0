"""Writers of tables: Parquet, CSV and JSON lines, a batch at a time, in memory bounded by the batch.

In CSV a list is JSON text, and text is quoted, so that an empty one differs from a null; bytes are base64 in both.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tench.launcher.collect.json_text import is_bytes, to_base64, to_json, to_objects

GROUP_ROWS = 100_000  # of a Parquet file that is made of many; smaller groups cost readers more than they save
GROUP_BYTES = 64 << 20


class Writer(Protocol):
    """One file under way. `close` makes it whole."""

    def write(self, rows: pa.Table) -> None: ...
    def close(self) -> None: ...


class ParquetWriter:
    """Gathers rows until a row group is worth it."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = pq.ParquetWriter(path, schema, compression="zstd")
        self._held: list[pa.Table] = []
        self._rows = self._bytes = 0

    def write(self, rows: pa.Table) -> None:
        self._held.append(rows)
        self._rows += rows.num_rows
        self._bytes += rows.nbytes
        if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        if self._held:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write_table(pa.concat_tables(self._held), row_group_size=self._rows)
        self._held, self._rows, self._bytes = [], 0, 0


class CsvWriter:
    """With a line of names first."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = pa.schema([(field.name, _csv_type(field.type)) for field in schema])
        self._file = pyarrow.csv.CSVWriter(path, self._schema)

    def write(self, rows: pa.Table) -> None:
        for batch in rows.to_batches():
            columns = [_to_csv(column) for column in batch.columns]
            self._file.write_batch(pa.record_batch(columns, schema=self._schema))

    def close(self) -> None:
        self._file.close()


class JsonlWriter:
    """An object a line."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._names = schema.names
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, rows: pa.Table) -> None:
        for batch in rows.to_batches():
            self._file.writelines(f"{line}\n" for line in to_objects(self._names, batch.columns).to_pylist())

    def close(self) -> None:
        self._file.close()


WRITERS: dict[str, Callable[[Path, pa.Schema], Writer]] = {
    "parquet": ParquetWriter,
    "csv": CsvWriter,
    "jsonl": JsonlWriter,
}


def _csv_type(kind: pa.DataType) -> pa.DataType:
    """What Arrow writes as a reader of CSV expects it stays itself; the rest is text."""
    if pa.types.is_dictionary(kind):
        return _csv_type(kind.value_type)
    return kind if any(test(kind) for test in _CSV_TYPES) else pa.string()


def _to_csv(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return _to_csv(column.dictionary_decode())
    if _csv_type(column.type) == column.type:
        return column
    if is_bytes(column.type):
        return to_base64(column)
    return pc.if_else(column.is_valid(), to_json(column), pa.scalar(None, pa.string()))


_CSV_TYPES = (
    *(pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_date, pa.types.is_time, pa.types.is_timestamp),
)
