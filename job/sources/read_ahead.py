"""Reading ahead of whoever decodes, within a bound. Used by the sources for what lies across the network."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Fetches numbered units in their order, in threads, ahead of those that are taken.

    What is fetched or under way and not yet taken by all its takers stays within `budget` (in the unit of `costs`),
    or is a single unit. A unit taken out of order is fetched at once, so that no order of calls can block.
    """

    def __init__(
        self, fetch: Callable[[int], T], costs: Sequence[int], takers: Sequence[int], threads: int, budget: int
    ) -> None:
        """`takers[n]` is how often unit n will be taken. One thread calls `fetch` in the order of the units."""
        self._fetch = fetch
        self._costs = costs
        self._left = list(takers)
        self._budget = budget
        self._held = 0
        self._next = 0
        self._futures: dict[int, Future[T]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "read-ahead")
        with self._lock:
            self._submit(upto=-1)

    def take(self, unit: int) -> T:
        """The unit, when it is there. Raises what its fetch raised."""
        with self._lock:
            self._submit(upto=unit)
            future = self._futures[unit]
        try:
            return future.result()
        except CancelledError:
            return self._fetch(unit)
        finally:
            with self._lock:
                self._release(unit)

    def close(self) -> None:
        """Stop fetching ahead. A unit that is taken after all is fetched then."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, upto: int) -> None:
        """Fetches up to that unit whatever it costs, and then what the budget allows."""
        while self._next < len(self._costs):
            cost = self._costs[self._next]
            if self._next > upto and self._futures and self._held + cost > self._budget:
                return
            self._futures[self._next] = self._pool.submit(self._fetch, self._next)
            self._held += cost
            self._next += 1
        self._pool.shutdown(wait=False)

    def _release(self, unit: int) -> None:
        self._left[unit] -= 1
        if self._left[unit] == 0:
            del self._futures[unit]
            self._held -= self._costs[unit]
            self._submit(upto=-1)
