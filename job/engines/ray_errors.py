"""Errors on their way from a task or an actor of Ray to the driver, which is to end with their class and words."""

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
