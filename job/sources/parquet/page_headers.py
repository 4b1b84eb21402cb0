"""What stands before each page of a Parquet file, and in a column's offset index: sizes, and how many rows.

https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from collections.abc import Sequence
from typing import NamedTuple

from job.sources.parquet.thrift_compact import Bytes, Struct, read_int, read_list, read_struct

_DATA, _INDEX, _DICTIONARY, _DATA_V2 = range(4)
_OF_DICTIONARY = (2, 8)  # PLAIN_DICTIONARY, RLE_DICTIONARY


class PageHeader(NamedTuple):
    """`size` is the page's bytes in the file, `header` those of its header. A page without data has no values."""

    size: int
    header: int
    values: int
    is_dictionary: bool
    wants_dictionary: bool


class PageLocation(NamedTuple):
    """As an offset index has it: the page's first byte in the file, its bytes, and its first row in the row group."""

    offset: int
    size: int
    first_row: int


def read_page_header(data: Bytes, start: int) -> PageHeader:
    """The header that begins at `start`. Raises CutShortError where it goes on, ValueError for what is none."""
    fields, stop = read_struct(data, start)
    kind, size = _int(data, fields, 1), _int(data, fields, 3)
    if size < 0 or not _DATA <= kind <= _DATA_V2:
        raise ValueError(f"a page of the type {kind} of {size:,} bytes")
    header = stop - start
    size += header
    if kind not in (_DATA, _DATA_V2):
        return PageHeader(size, header, 0, kind == _DICTIONARY, wants_dictionary=False)
    about = 5 if kind == _DATA else 8
    if about not in fields:
        raise ValueError("a page of data has no header of its own")
    page, _ = read_struct(data, fields[about].start)
    values, encoding = _int(data, page, 1), _int(data, page, 2 if kind == _DATA else 4)
    if values < 0:
        raise ValueError(f"a page of {values:,} values")
    return PageHeader(size, header, values, is_dictionary=False, wants_dictionary=encoding in _OF_DICTIONARY)


def read_page_headers(data: Bytes) -> Sequence[PageHeader]:
    """Those of pages that stand one behind the other. Raises ValueError where they do not end with the bytes."""
    headers = []
    place = 0
    while place < len(data):
        headers.append(read_page_header(data, place))
        place += headers[-1].size
    if place > len(data):
        raise ValueError("a page is cut short")
    return headers


def read_offset_index(data: Bytes) -> Sequence[PageLocation]:
    """The pages that an offset index has. Raises ValueError."""
    fields, _ = read_struct(data)
    if 1 not in fields:
        raise ValueError("an offset index without pages")
    pages = [read_struct(data, page.start)[0] for page in read_list(data, fields[1])]
    return [PageLocation(*(_int(data, page, name) for name in (1, 2, 3))) for page in pages]


def _int(data: Bytes, fields: Struct, name: int) -> int:
    if name not in fields:
        raise ValueError(f"a struct lacks its field {name}")
    return read_int(data, fields[name])
