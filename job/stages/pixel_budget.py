"""The budget: how much memory the pictures that are open at one time may take in this process.

Each thread that decodes says what its image will take before it does, from the header, and waits until there is room.
An image that is larger than the whole budget goes through alone.
"""

import threading
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Self

from job.settings import DECODE_BYTES
from job.stages.machine import memory_bytes, release_freed_memory

# Of a container's memory. Beside the pictures live the model, Ray's object store (three tenths), tables on their way.
SHARE = 1 / 4
# Each thread's part of the C library's heap keeps up to 64 MB of what was freed: eight threads with pictures of 12
# megapixels, one at a time, held 400 MB so, and 120 with this. It takes a millisecond, which a large image has.
LARGE_BYTES = 32 << 20


# Told how many bytes an image takes, before it is decoded; replaces what the same image reserved before.
Reserve = Callable[[int], None]


class NoRoomError(Exception):
    """There is no room now, and waiting for it could take for ever."""


class PixelBudget:
    """So many bytes. First come, first served, so that no stream of small images keeps a large one out."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.held = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def hold(self) -> "Hold":
        """A context: what is reserved in it is held until it ends."""
        return Hold(self)

    def take(self, size: int, waits: bool = True) -> int:
        """Takes so many bytes, or all of them if it is more, when there is room; gives how many.

        Raises NoRoomError, where it does not wait.
        """
        size = min(size, self.total)
        with self._changed:
            if self._waiting or self.held + size > self.total:
                if not waits:
                    raise NoRoomError
                self._wait_for(size)
            self.held += size
        return size

    def _wait_for(self, size: int) -> None:
        ticket = object()
        self._waiting.append(ticket)
        try:
            self._changed.wait_for(lambda: self._waiting[0] is ticket and self.held + size <= self.total)
        finally:
            self._waiting.remove(ticket)
            self._changed.notify_all()  # there may be room for the next

    def give_back(self, size: int) -> None:
        if size:
            with self._changed:
                self.held -= size
                self._changed.notify_all()


class Hold:
    """What one image holds of a budget. Used by one thread at a time."""

    def __init__(self, budget: PixelBudget) -> None:
        self._budget = budget
        self.size = 0

    def reserve(self, needed: int, waits: bool = True) -> None:
        """Gives back what it held before: nobody waits for more while he holds some. Raises NoRoomError."""
        self.release()
        self.size = self._budget.take(needed, waits)
        if needed >= LARGE_BYTES:
            release_freed_memory()

    def shrink(self, size: int) -> None:
        """Keeps no more than `size`."""
        over = max(0, self.size - size)
        self.size -= over
        self._budget.give_back(over)

    def release(self) -> None:
        self.shrink(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def reserve_nothing(needed: int) -> None:
    """For who decodes one image at a time."""


@lru_cache(maxsize=8)
def process_budget(share: float = 1.0) -> PixelBudget:
    """This process's one budget: its share, among the processes of this machine that decode, of what that may use."""
    return PixelBudget(DECODE_BYTES.value() or max(1, int(memory_bytes() * SHARE * share)))
