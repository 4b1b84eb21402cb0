"""Work ahead of whoever takes it: in order, within a bound, ended by the first error, and never waited for."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tench.launcher.collect.in_order import AHEAD, in_order


@given(items=st.lists(st.integers()), threads=st.integers(1, 5))
def test_every_result_comes_once_and_in_order(items, threads):
    assert list(in_order(lambda item: item * 2, items, threads)) == [item * 2 for item in items]


def test_work_is_done_side_by_side_and_only_so_far_ahead():
    together, begun = threading.Barrier(3), []

    def work(item):
        begun.append(item)
        if item < 3:
            together.wait(timeout=30)
        return item

    results = in_order(work, range(100), 3)
    assert next(results) == 0
    assert len(begun) <= 3 * AHEAD
    results.close()


def test_the_first_error_ends_it_and_no_more_is_begun():
    begun = []

    def work(item):
        begun.append(item)
        if item == 2:
            raise ValueError(item)
        return item

    results = in_order(work, range(100), 1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="2"):
        next(results)
    time.sleep(0.05)
    assert len(begun) <= 3 + AHEAD


def test_closing_waits_for_nothing():
    release = threading.Event()
    results = in_order(lambda item: item or release.wait(timeout=30), [1, 0, 0], 2)
    assert next(results) == 1
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < 10
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("collect-"))
    release.set()
