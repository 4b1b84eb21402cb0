"""Work done in threads and given out in order, with a bound on what is done ahead. Used while a source is listed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ordered_map(work: Callable[[T], U], items: Iterable[T], threads: int = 16) -> Iterator[U]:
    """`work` of each item, in their order; twice as many as there are threads are under way or wait to be taken."""
    left = iter(items)
    waiting: deque[Future[U]] = deque()
    pool = ThreadPoolExecutor(threads, "list")
    try:
        while True:
            for item in islice(left, 2 * threads - len(waiting)):
                waiting.append(pool.submit(work, item))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
