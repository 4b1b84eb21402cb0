"""Work done side by side, its results taken in order, by threads that hold nobody back at Ctrl-C."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4  # items a thread: how far the work may be before whoever takes the results


def in_order(work: Callable[[T], R], items: Iterable[T], threads: int) -> Generator[R, None, None]:
    """`work` of each item; the first error ends it. Closing it begins no more work, and waits for none.

    Python waits at its end for the threads of an executor: minutes, while they are patient with a dead network.
    """
    todo: SimpleQueue[tuple[Future[R], T] | None] = SimpleQueue()
    pending: deque[Future[R]] = deque()
    for number in range(threads):
        Thread(target=_serve, args=(work, todo), name=f"collect-{number}", daemon=True).start()
    try:
        for item in items:
            pending.append(Future())
            todo.put((pending[-1], item))
            if len(pending) >= AHEAD * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for _ in range(threads):
            todo.put(None)


def _serve(work: Callable[[T], R], todo: "SimpleQueue[tuple[Future[R], T] | None]") -> None:
    while job := todo.get():
        future, item = job
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(work(item))
        except Exception as error:
            future.set_exception(error)
