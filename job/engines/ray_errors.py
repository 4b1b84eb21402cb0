"""Errors on their way from a task or an actor of Ray to the driver, which is to end with their class and words."""

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from job.errors import RunFailed, TenchError


class WrappedError(Exception):
    """Around a Tench error: into the text of what a task raises, Ray Data writes advice of its own."""

    def __init__(self, cause: TenchError, *_: object) -> None:
        super().__init__(cause)
        self.cause = cause


@contextmanager
def wrapped() -> Iterator[None]:
    try:
        yield
    except TenchError as error:
        raise WrappedError(error) from error


def unwrapped(error: Exception) -> TenchError:
    """What was raised there, out of Ray's wrapping."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, TenchError):
            return cause
        original = getattr(cause, "cause", None)
        cause = original if isinstance(original, BaseException) else cause.__cause__
    return RunFailed(f"the Ray engine stopped: {error}")


def drop_references(error: BaseException | None) -> None:
    """Lets go of what Ray Data's calls held: the frames an error came through, and what only refers to itself.

    A reference to an object of a Ray that is down ends the process, without a word and with code 1.
    """
    seen: set[int] = set()
    while error and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()
