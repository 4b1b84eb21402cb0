"""A ticker: calls something every so often, in a thread of its own, while it is open."""

import threading
from collections.abc import Callable
from types import TracebackType


class Ticker:
    """A context. Leaving it waits for the call that is under way, and makes no other."""

    def __init__(self, interval_s: float, call: Callable[[], None]) -> None:
        self._interval_s, self._call = interval_s, call
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Ticker":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._wake.wait(self._interval_s):
            self._call()
