"""Reads that chunks share: each key once, for everybody who is expected, and within a bound."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from job.sources.parquet.shared_reads import SharedReads


def test_a_read_under_way_is_waited_for():
    shared, reads, go = SharedReads(), [], threading.Event()

    def read():
        reads.append(1)
        go.wait(5)
        return b"data"

    with ThreadPoolExecutor(3) as pool:
        found = [pool.submit(shared.get, "a", 1, 3, read) for _ in range(3)]
        go.set()
        assert [each.result(5) for each in found] == [b"data"] * 3
    assert len(reads) == 1


def test_what_all_have_taken_is_forgotten():
    shared, reads = SharedReads(), []
    for rows in (400, 600, 1):
        shared.get("a", rows, 1000, lambda: reads.append(1) or b"data")
    assert len(reads) == 2


def test_rows_claimed_later_count_too():
    shared, reads = SharedReads(), []
    shared.get("a", 400, 1000, lambda: reads.append(1) or b"data")
    shared.claim("a", 600)
    shared.get("a", 1, 1000, lambda: reads.append(1) or b"data")
    assert len(reads) == 2


def test_no_more_than_the_bound_is_held_and_the_longest_unused_goes_first():
    shared, reads = SharedReads(held_bytes=20, held_at_least=1), []

    def get(key):
        shared.get(key, 1, 1000, lambda: reads.append(key) or b"0123456789")

    for key in "abacab":
        get(key)
    assert reads == ["a", "b", "c", "b"]


def test_a_single_read_may_be_larger_than_the_bound():
    shared, reads = SharedReads(held_bytes=5, held_at_least=1), []
    for _ in range(2):
        shared.get("a", 1, 1000, lambda: reads.append(1) or b"0123456789")
    assert len(reads) == 1


def test_a_read_that_failed_is_tried_anew_by_the_next():
    shared = SharedReads()

    def fail():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        shared.get("a", 1, 2, fail)
    assert shared.get("a", 1, 2, lambda: b"data") == b"data"
