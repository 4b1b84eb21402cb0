"""One object as a file: what is read, from where, and how often the store is asked."""

import io

import pytest

from job.errors import ObjectChanged
from job.stores.range_file import RangeFile
from job.stores.storage import open_folder

DATA = bytes(range(100))


class Asked:
    """A folder that notes what it is asked for."""

    def __init__(self, folder):
        self.folder, self.uri, self.asked = folder, folder.uri, []

    def head(self, key):
        self.asked.append("head")
        return self.folder.head(key)

    def read_range(self, key, start, length, etag=None):
        self.asked.append((start, length))
        return self.folder.read_range(key, start, length, etag)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "object").write_bytes(DATA)
    return Asked(open_folder(str(tmp_path)))


def test_each_read_goes_on_where_the_last_one_ended(folder):
    file = RangeFile(folder, "object", len(DATA))
    assert [file.read(3), file.read(4), file.tell()] == [DATA[:3], DATA[3:7], 7]
    assert file.read() == DATA[7:]
    assert file.read(5) == b""
    assert folder.asked == [(0, 3), (3, 4), (7, 93)]


def test_nothing_is_asked_for_nothing(folder):
    file = RangeFile(folder, "object", len(DATA))
    assert file.read(0) == b""
    assert file.seek(200) == 200
    assert file.read(5) == b""
    assert folder.asked == []


def test_a_place_is_told_from_the_start_from_here_or_from_the_end(folder):
    file = RangeFile(folder, "object", len(DATA))
    assert [file.seek(10), file.seek(5, io.SEEK_CUR), file.seek(-1, io.SEEK_END)] == [10, 15, 99]
    assert file.read(9) == DATA[99:]


def test_it_fills_a_buffer_and_reads_ahead_in_one(folder):
    buffer = bytearray(6)
    assert RangeFile(folder, "object", len(DATA)).readinto(buffer) == 6
    assert bytes(buffer) == DATA[:6]
    buffered = io.BufferedReader(RangeFile(folder, "object", len(DATA)), 32)
    assert b"".join(iter(lambda: buffered.read(10), b"")) == DATA


def test_the_size_is_asked_for_where_it_is_not_given(folder):
    assert RangeFile(folder, "object").read() == DATA
    assert folder.asked == ["head", (0, 100)]
    with pytest.raises(FileNotFoundError, match="nothing"):
        RangeFile(folder, "nothing")


def test_with_an_etag_it_reads_that_object_and_no_other(tmp_path):
    folder = open_folder(str(tmp_path))
    file = RangeFile(folder, "object", len(DATA), folder.put("object", DATA))
    assert file.read(3) == DATA[:3]
    folder.put("object", DATA[::-1])
    with pytest.raises(ObjectChanged, match="object was changed since it was listed"):
        file.read(3)
