"""Work in threads whose results come in order, never far ahead of whoever takes them."""

import threading
import time

import pytest

from job.sources.ordered_map import ordered_map


def test_results_come_in_the_order_of_the_items():
    def work(number):
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    assert list(ordered_map(work, range(30), threads=4)) == [number * number for number in range(30)]


def test_no_more_is_begun_than_may_wait():
    begun = []
    lock = threading.Lock()

    def work(number):
        with lock:
            begun.append(number)
        return number

    results = ordered_map(work, iter(range(100)), threads=2)
    assert next(results) == 0
    time.sleep(0.1)
    assert len(begun) <= 5
    results.close()
    assert len(begun) <= 5


def test_an_error_comes_in_its_place():
    def work(number):
        if number == 2:
            raise ValueError("two")
        return number

    results = ordered_map(work, range(9), threads=3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
