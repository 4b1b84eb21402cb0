"""Tags of a TIFF's first directory, in its four layouts, and of what only pretends to be one."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_images import TIFF_BIG_ENDIAN_BIGTIFF

from job.stages.formats.tiff_tags import first, is_raw, read_tags


def classic(order):
    head = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHIHH", 256, 3, 1, 12, 0) + struct.pack(f"{order}HHII", 258, 3, 3, 50)
    return (head + struct.pack(f"{order}IH", 8, 2) + entries).ljust(50, b"\0") + struct.pack(f"{order}3H", 8, 8, 8)


def big_little_endian():
    head = b"II+\0" + struct.pack("<HHQ", 8, 0, 16)
    return (
        head
        + struct.pack("<Q", 2)
        + struct.pack("<HHQHHHH", 256, 3, 1, 12, 0, 0, 0)
        + struct.pack("<HHQHHHH", 258, 3, 3, 8, 8, 8, 0)
    )


@pytest.mark.parametrize("data", [classic("<"), classic(">"), big_little_endian()])
def test_numbers_are_read_in_place_and_elsewhere(data):
    tags = read_tags(data)
    assert (tags[256], tags[258]) == ((12,), (8, 8, 8))
    assert first(tags, 256, 1) == 12
    assert first(tags, 999, 7) == 7
    assert not is_raw(tags)


def test_a_big_endian_bigtiff_is_read_too():
    tags = read_tags(TIFF_BIG_ENDIAN_BIGTIFF)
    assert (tags[256], tags[257], tags[258]) == ((12,), (9,), (8, 8, 8))


@given(
    data=st.binary(max_size=120), magic=st.sampled_from([b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"])
)
def test_noise_has_no_tags_or_some_and_raises_nothing(data, magic):
    read_tags(magic + data)


def test_an_offset_beyond_any_file_has_no_tags():
    assert read_tags(b"II+\0\x08\0\0\0" + b"\xff" * 8) == {}
