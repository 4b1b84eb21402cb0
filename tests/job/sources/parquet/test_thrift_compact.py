"""Thrift as Parquet has it: what is written is read, a footer is what pyarrow wrote, and no bytes do harm."""

import contextlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.sources.parquet.page_cut import RewrittenFooter
from job.sources.parquet.page_headers import read_offset_index, read_page_header
from job.sources.parquet.thrift_compact import (
    BINARY,
    I64,
    STRUCT,
    CutShortError,
    read_int,
    read_list,
    read_struct,
    write_int,
    write_list,
    write_struct,
)

NUMBERS = st.integers(-(2**63), 2**63 - 1)


@given(st.dictionaries(st.integers(1, 200), NUMBERS, max_size=20))
def test_numbers_are_read_as_they_were_written(numbers):
    data = write_struct({name: (I64, write_int(number)) for name, number in numbers.items()})
    fields, stop = read_struct(b"xx" + data + b"yy", 2)
    assert stop == 2 + len(data)
    assert {name: read_int(b"xx" + data, field) for name, field in fields.items()} == numbers


@given(st.lists(NUMBERS, max_size=40))
def test_lists_are_read_as_they_were_written(numbers):
    structs = [write_struct({3: (I64, write_int(number))}) for number in numbers]
    data = write_struct({1: (9, write_list(STRUCT, structs)), 9: (BINARY, b"\x02ab")})
    fields, _ = read_struct(data)
    found = [read_struct(data, each.start)[0] for each in read_list(data, fields[1])]
    assert [read_int(data, each[3]) for each in found] == numbers


@given(st.binary(max_size=200))
def test_bytes_that_are_no_struct_are_a_value_error(data):
    for read in (read_struct, read_offset_index, RewrittenFooter, lambda data: read_page_header(data, 0)):
        with contextlib.suppress(ValueError):
            read(data)


@given(st.data())
def test_a_struct_that_goes_on_is_known_from_one_that_is_wrong(data):
    whole = write_struct({1: (I64, write_int(7)), 2: (BINARY, b"\x05abcde"), 40: (I64, write_int(-9))})
    with pytest.raises(CutShortError):
        read_struct(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_a_footer_leads_to_the_offset_index_that_pyarrow_wrote():
    sink = pa.BufferOutputStream()
    columns = {f"c{number}": [b"%d" % row for row in range(100)] for number in range(20)}
    options = {"write_page_index": True, "write_batch_size": 10, "data_page_size": 1, "use_dictionary": False}
    pq.write_table(pa.table(columns), sink, row_group_size=50, **options)
    data = sink.getvalue().to_pybytes()
    footer = RewrittenFooter(data[-8 - int.from_bytes(data[-8:-4], "little") : -8])

    start, stop = footer.index_place(1, 17)
    pages = read_offset_index(data[start:stop])

    assert [page.first_row for page in pages] == [0, 10, 20, 30, 40]
    assert [read_page_header(data, page.offset).values for page in pages] == [10] * 5
    assert [read_page_header(data, page.offset).size for page in pages] == [page.size for page in pages]
    assert footer.is_plain(1, 17)
