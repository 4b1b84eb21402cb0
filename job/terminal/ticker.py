"""A ticker: calls something every so often, in a thread of its own, between its start and its stop."""

import threading
from collections.abc import Callable


class Ticker:
    """Started and stopped once."""

    def __init__(self, interval_s: float, call: Callable[[], None]) -> None:
        self._interval_s, self._call = interval_s, call
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for the call that is under way; there is no other."""
        self._wake.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._wake.wait(self._interval_s):
            self._call()
