"""A bounded channel between threads, which ends when its writers have ended and breaks when one of them broke."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class ChannelClosedError(Exception):
    """The reader has gone; a writer should end quietly."""


class Channel(Generic[T]):
    """`writers` threads put, each calls `done` or `fail` once; readers iterate."""

    def __init__(self, capacity: int, writers: int) -> None:
        self._capacity = capacity
        self._writers = writers
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Waits for room. Raises ChannelClosedError."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                raise ChannelClosedError
            self._items.append(item)
            self._changed.notify_all()

    def done(self) -> None:
        with self._changed:
            self._writers -= 1
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Every reader gets the error next, before what still waits."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def close(self) -> None:
        """Called by a reader that takes no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._error or self._closed or self._items or not self._writers)
                if self._error:
                    raise self._error
                if self._closed or not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
