"""Listings by ranges: every key once and in order, whatever the keys are like and whatever the store does."""

import threading
import time
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.errors import StoreError
from job.stores import range_listing
from job.stores.folder import listing
from job.stores.range_listing import list_in_ranges

KEYS = st.one_of(
    st.text("abz/019-é\U0001f600", min_size=1, max_size=6),
    st.integers(0, 2000).map(lambda number: f"photos/{number:05d}.jpg"),
    st.integers(0, 2000).map(lambda number: f"{number:x}/{number}"),
    st.integers(0, 200).map(lambda number: f"train/class {chr(97 + number % 26)}/{number}"),
)


class Store:
    """Pages of a few keys; counts what is asked of it."""

    def __init__(self, keys, page=3, heeds=True):
        self.keys = sorted(set(keys), key=str.encode)
        self.page, self.heeds = page, heeds
        self.requests, self.most_at_once, self._now = 0, 0, 0
        self._lock = threading.Lock()
        self.seconds = 0

    def pages(self, after):
        at = bisect_right(self.keys, after) if self.heeds else 0
        while True:
            with self._lock:
                self.requests += 1
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
            time.sleep(self.seconds)
            with self._lock:
                self._now -= 1
            found = self.keys[at : at + self.page]
            at += self.page
            if found:
                yield listing([(key, 1, "e") for key in found])
            if at >= len(self.keys):
                return

    def listed(self):
        return [key for table in list_in_ranges(self.pages) for key in table["key"].to_pylist()]


@given(st.lists(KEYS, max_size=400), st.integers(1, 5), st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_key_comes_once_and_in_order(keys, page, heeds):
    store = Store(keys, page, heeds)
    assert store.listed() == store.keys


def test_a_short_listing_costs_no_request_more():
    store = Store([f"{number:03d}" for number in range(20)])
    assert store.listed() == store.keys
    assert store.requests == 7


def test_a_long_listing_is_asked_for_by_several_requests_at_once():
    store = Store([f"photos/{number:05d}.jpg" for number in range(5000)], page=10)
    store.seconds = 0.005
    assert store.listed() == store.keys
    assert store.most_at_once >= 4


def test_wrong_guesses_cost_few_requests():
    store = Store([f"photos/{number // 100:04d}/{number:09d}.jpg" for number in range(40_000)], page=100)
    assert store.listed() == store.keys
    assert 400 <= store.requests <= 600


def test_a_store_that_fails_is_heard_of():
    store = Store([f"{number:05d}" for number in range(1000)])
    pages = store.pages

    def failing(after):
        for page in pages(after):
            if page["key"][0].as_py() > "00500":
                raise OSError("gone")
            yield page

    with pytest.raises(OSError, match="gone"):
        list(list_in_ranges(failing))


def test_whoever_stops_reading_stops_the_listing(monkeypatch):
    store = Store([f"{number:05d}" for number in range(20_000)])
    tables = list_in_ranges(store.pages)
    for _ in range(12):
        next(tables)
    tables.close()
    bound = range_listing.THREADS * range_listing.PAGES_A_RANGE * 3
    assert store.requests <= bound


def test_a_store_without_an_order_is_asked_for_one_page_after_another():
    keys = [f"{number * 7919 % 1000:03d}" for number in range(1000)]
    asked = []

    def pages(after):
        asked.append(after)
        return (listing([(key, 1, "e") for key in keys[at : at + 10]]) for at in range(0, 1000, 10))

    assert [key for table in list_in_ranges(pages) for key in table["key"].to_pylist()] == keys
    assert asked == [""]


def test_a_store_that_loses_its_order_on_the_way_is_refused():
    store = Store([f"{number:05d}" for number in range(2000)])

    def pages(after):
        return (
            page if page["key"][0].as_py() < "01000" else listing([("00000", 1, "e")]) for page in store.pages(after)
        )

    with pytest.raises(StoreError, match="out of order"):
        list(list_in_ranges(pages))
