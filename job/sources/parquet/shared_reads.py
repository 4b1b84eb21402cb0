"""Bytes that several chunks of one process want, read once. Used for what lies across the border of two chunks.

Knows nothing of files. What is read stays until everybody has come who is expected, within a bound.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field

Data = bytes | bytearray
HELD_BYTES = 256 << 20
# Each of two chunks at once is at one run and shares the next; single runs may be larger than what may be held.
_HELD_AT_LEAST = 4


@dataclass(slots=True)
class _Entry:
    left: int
    data: Future[Data] = field(default_factory=Future)


class SharedReads:
    """Reads by key. Safe to use from several threads; a read that is under way is waited for."""

    def __init__(self, held_bytes: int = HELD_BYTES, held_at_least: int = _HELD_AT_LEAST) -> None:
        self._held_bytes, self._held_at_least = held_bytes, held_at_least
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, rows: int, of_rows: int, read: Callable[[], Data]) -> Data:
        """The bytes of a key, of whose `of_rows` rows the caller takes `rows`; others are expected for the rest.

        Raises what the read raised, to those that waited for it too; who comes later reads anew.
        """
        with self._lock:
            entry = self._entries.get(key)
            is_mine = entry is None
            if entry is None:
                entry = self._entries[key] = _Entry(of_rows)
            entry.left -= rows
            self._entries.move_to_end(key)
            if entry.left <= 0:
                del self._entries[key]
        if not is_mine:
            return entry.data.result()
        try:
            data = read()
        except BaseException as error:
            entry.data.set_exception(error)
            with self._lock:
                if self._entries.get(key) is entry:
                    del self._entries[key]
            raise
        entry.data.set_result(data)
        with self._lock:
            self._let_go()
        return data

    def claim(self, key: Hashable, rows: int) -> None:
        """Rows of a key that somebody takes from what was given to another."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                entry.left -= rows
                if entry.left <= 0:
                    del self._entries[key]

    def _let_go(self) -> None:
        """Of what nobody came for, the longest unused, where it is more than may be held."""
        done = [(key, len(entry.data.result())) for key, entry in self._entries.items() if entry.data.done()]
        held = sum(size for _, size in done)
        for key, size in done[: max(0, len(done) - self._held_at_least)]:
            if held <= self._held_bytes:
                return
            del self._entries[key]
            held -= size
