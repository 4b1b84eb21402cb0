"""A Parquet file's footer, and one like it for a few pages of one column, by which pyarrow reads them alone.

So every encoding, codec and nesting is pyarrow's to read; this knows only where a footer says what is where.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from job.sources.parquet.thrift_compact import (
    I64,
    LIST,
    STRUCT,
    Field,
    Struct,
    copied,
    read_int,
    read_list,
    read_struct,
    write_int,
    write_list,
    write_struct,
)

MAGIC = b"PAR1"
# FileMetaData, RowGroup, ColumnChunk and ColumnMetaData: the numbers of their fields.
_VERSION, _SCHEMA, _FILE_ROWS, _GROUPS, _KEY_VALUES, _CREATED_BY, _ORDERS = 1, 2, 3, 4, 5, 6, 7
_COLUMNS, _GROUP_BYTES, _GROUP_ROWS = 1, 2, 3
_FILE_PATH, _FILE_OFFSET, _COLUMN, _INDEX_OFFSET, _INDEX_BYTES, _CRYPTO = 1, 2, 3, 4, 5, 8
_TYPE, _ENCODINGS, _PATH, _CODEC, _VALUES, _PLAIN_BYTES, _BYTES, _DATA = 1, 2, 3, 4, 5, 6, 7, 9


class PagesMetadata(NamedTuple):
    """What a footer says of some pages: their rows and values, and their bytes, a dictionary's among them."""

    rows: int
    values: int
    size: int


class RewrittenFooter:
    """The footer of a file. Raises ValueError where it is none, or a struct lacks what Parquet requires."""

    def __init__(self, data: bytes) -> None:
        """`data` is the footer without its length and the magic."""
        self._data = data
        self._file, _ = read_struct(data)
        self._groups = read_list(data, _required(self._file, _GROUPS))

    def index_place(self, group: int, leaf: int) -> tuple[int, int] | None:
        """Where the offset index of a column is; None where it has none."""
        chunk, _ = read_struct(self._data, self._columns(group)[leaf].start)
        if _INDEX_OFFSET not in chunk or _INDEX_BYTES not in chunk:
            return None
        start = read_int(self._data, chunk[_INDEX_OFFSET])
        return start, start + read_int(self._data, chunk[_INDEX_BYTES])

    def is_plain(self, group: int, leaf: int) -> bool:
        """Whether the column's pages are in this file, and not encrypted."""
        chunk, _ = read_struct(self._data, self._columns(group)[leaf].start)
        return _FILE_PATH not in chunk and _CRYPTO not in chunk and _COLUMN in chunk

    def cut(self, group: int, leaf: int, pages: PagesMetadata) -> pq.FileMetaData:
        """That of a file which begins with pages of one column, a dictionary first, and has nothing else."""
        columns = self._columns(group)
        chunk, _ = read_struct(self._data, columns[leaf].start)
        column, _ = read_struct(self._data, _required(chunk, _COLUMN).start)
        # A dictionary that the footer does not name is read all the same; one named at byte 0 would not be.
        numbers = {_VALUES: pages.values, _PLAIN_BYTES: pages.size, _BYTES: pages.size, _DATA: 0}
        described = copied(self._data, column, (_TYPE, _ENCODINGS, _PATH, _CODEC)) | _i64(numbers)
        cut_chunk = write_struct(_i64({_FILE_OFFSET: 0}) | {_COLUMN: (STRUCT, write_struct(described))})
        others = [self._data[each.start : each.stop] for each in columns]
        others[leaf] = cut_chunk
        row_group = _i64({_GROUP_BYTES: pages.size, _GROUP_ROWS: pages.rows}) | {
            _COLUMNS: (LIST, write_list(STRUCT, others)),
        }
        kept = copied(self._data, self._file, (_VERSION, _SCHEMA, _KEY_VALUES, _CREATED_BY, _ORDERS))
        file = kept | _i64({_FILE_ROWS: pages.rows}) | {_GROUPS: (LIST, write_list(STRUCT, [write_struct(row_group)]))}
        return read_metadata(write_struct(file))

    def _columns(self, group: int) -> Sequence[Field]:
        fields, _ = read_struct(self._data, self._groups[group].start)
        return read_list(self._data, _required(fields, _COLUMNS))


def read_metadata(footer: bytes) -> pq.FileMetaData:
    """A footer as pyarrow reads it. Raises ArrowException."""
    framed = b"".join([MAGIC, footer, len(footer).to_bytes(4, "little"), MAGIC])
    return pq.read_metadata(pa.BufferReader(framed))


def _required(fields: Struct, name: int) -> Field:
    if name not in fields:
        raise ValueError(f"the footer lacks field {name} of a struct")
    return fields[name]


def _i64(numbers: Mapping[int, int]) -> dict[int, tuple[int, bytes]]:
    return {name: (I64, write_int(number)) for name, number in numbers.items()}
