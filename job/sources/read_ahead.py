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
        self,
        fetch: Callable[[int], T],
        costs: Sequence[int],
        takers: Sequence[int],
        threads: int,
        budget: int,
        cost_of: Callable[[T], int] | None = None,
    ) -> None:
        """`takers[n]` is how often unit n will be taken. One thread calls `fetch` in the order of the units.

        Where costs are guesses, `cost_of` tells that of a fetched unit; those behind it are taken to cost as much.
        """
        self._fetch = fetch
        self._costs = list(costs)
        self._cost_of = cost_of
        self._left = list(takers)
        self._budget = budget
        self._held = 0
        self._last_cost: int | None = None
        self._next = 0
        self._is_closed = False
        self._futures: dict[int, Future[T]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "read-ahead")
        with self._lock:
            self._submit(upto=-1)

    def take(self, unit: int) -> T:
        """The unit, when it is there. Raises what its fetch raised."""
        with self._lock:
            self._submit(upto=unit)
            future = self._futures.get(unit)
        if future is None:
            return self._fetch(unit)
        try:
            return future.result()
        except CancelledError:
            return self._fetch(unit)
        finally:
            with self._lock:
                self._release(unit)

    def close(self) -> None:
        """Stop fetching ahead. A unit that is taken after all is fetched then."""
        with self._lock:
            self._is_closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fetch_and_count(self, unit: int) -> T:
        found = self._fetch(unit)
        if self._cost_of is not None:
            with self._lock:
                self._last_cost = self._cost_of(found)
                self._held += self._last_cost - self._costs[unit]
                self._costs[unit] = self._last_cost
                self._submit(upto=-1)
        return found

    def _submit(self, upto: int) -> None:
        """Fetches up to that unit whatever it costs, and then what the budget allows."""
        while self._next < len(self._costs) and not self._is_closed:
            cost = self._costs[self._next]
            if self._cost_of is not None and self._last_cost is not None:
                cost = self._costs[self._next] = self._last_cost
            if self._next > upto and self._futures and self._held + cost > self._budget:
                return
            self._futures[self._next] = self._pool.submit(self._fetch_and_count, self._next)
            self._held += cost
            self._next += 1
        self._pool.shutdown(wait=False)

    def _release(self, unit: int) -> None:
        self._left[unit] -= 1
        if self._left[unit] == 0:
            del self._futures[unit]
            self._held -= self._costs[unit]
            self._submit(upto=-1)
