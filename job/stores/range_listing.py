"""A long listing by several requests at once: a store answers a thousand keys at a time, and each answer takes a while.

The keys behind those that are listed are cut into ranges at the characters that may follow: of `photos/0001…` at
`photos/0002`, `photos/0003` and so on. A wrong guess costs an empty answer and never a key, as the ranges leave no gap.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from os.path import commonprefix
from string import ascii_lowercase, ascii_uppercase, digits

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import StoreError

Pages = Callable[[str], Iterator[pa.Table]]
"""Tables of `LISTING`, in bytewise order, of all keys behind one; from the start for ""."""

THREADS = 8
PAGES_A_RANGE = 8  # then what is left of a range is cut again; a listing of no more pages is one request after another


class _OrderNotKept(Exception):
    """Keys came that were not asked for, or out of order: such a store cannot be asked for ranges."""


@dataclass
class _Range:
    """Keys behind `after` up to and with `upto`; all where that is None. Its first pages, and where they end."""

    after: str
    upto: str | None
    listed: "Future[tuple[pa.Table | None, list[_Range]]] | None" = None
    is_cut: bool = False


def list_in_ranges(pages: Pages) -> Iterator[pa.Table]:
    """All that `pages("")` gives, in the same order. Holds the pages of a few ranges at most."""
    listing = pages("")
    first = last = ""
    count, is_in_order = 0, True
    for page in islice(listing, PAGES_A_RANGE):
        count, is_in_order = count + 1, is_in_order and _ascend(page["key"], last)
        first, last = first or page["key"][0].as_py(), page["key"][-1].as_py()
        yield page
    if count == PAGES_A_RANGE and is_in_order:
        is_started = False
        try:
            for table in _in_order(pages, deque(_cut(first, last, None))):
                is_started = True
                yield table
            return
        except _OrderNotKept as error:
            if is_started:
                raise StoreError(f"the store lists {error} or a key before it out of order") from error
    yield from listing


def _in_order(pages: Pages, ranges: deque[_Range]) -> Iterator[pa.Table]:
    pool = ThreadPoolExecutor(THREADS, "list")
    try:
        while ranges:
            _cut_what_is_left(ranges)
            for each in list(ranges)[:THREADS]:
                each.listed = each.listed or pool.submit(_list_range, pages, each)
            head = ranges[0]
            assert head.listed is not None
            table, left = head.listed.result()
            ranges.popleft()
            if not head.is_cut:
                ranges.extendleft(reversed(left))
            if table is not None:
                yield table
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _cut_what_is_left(ranges: deque[_Range]) -> None:
    """Behind each range whose first pages are there, those that are left of it: they need not wait for their turn."""
    found: list[_Range] = []
    for each in ranges:
        found.append(each)
        if each.listed and not each.is_cut and each.listed.done() and each.listed.exception() is None:
            each.is_cut = True
            found += each.listed.result()[1]
    ranges.clear()
    ranges.extend(found)


def _list_range(pages: Pages, wanted: _Range) -> tuple[pa.Table | None, list[_Range]]:
    """Its first pages as one table, None where it is empty, and the ranges that are left."""
    tables: list[pa.Table] = []
    left: list[_Range] = []
    last = wanted.after
    for page in pages(wanted.after):
        keys = page["key"]
        if not _ascend(keys, last):
            raise _OrderNotKept(last)
        last = keys[-1].as_py()
        if wanted.upto is not None and last > wanted.upto:
            tables.append(page.filter(pc.less_equal(keys, wanted.upto)))
            break
        tables.append(page)
        if len(tables) == PAGES_A_RANGE:
            left = _cut(tables[0]["key"][0].as_py(), last, wanted.upto)
            break
    return pa.concat_tables(tables) if tables else None, left


def _ascend(keys: pa.ChunkedArray, before: str) -> bool:
    """Whether each key is greater than the one before it, and the first than `before`."""
    return bool(keys[0].as_py() > before and pc.all(pc.greater(keys[1:], keys[:-1]), min_count=0).as_py())


def _cut(first: str, last: str, upto: str | None) -> list[_Range]:
    """Ranges from behind `last` up to the end; `first` and `last` tell which character counts up."""
    prefix = commonprefix([first, last])  # noqa: RUF071 - of keys
    counter = last[len(prefix) : len(prefix) + 1]
    characters = next((each for each in (digits, ascii_lowercase, ascii_uppercase) if counter and counter in each), "")
    points = [prefix + each for each in characters if each > counter]
    points = [last, *(point for point in points if upto is None or point < upto)]
    return [_Range(after, until) for after, until in zip(points, [*points[1:], upto], strict=True)]
