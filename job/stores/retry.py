"""Patience with a store that fails for a while. Used by the bucket stores round every whole operation."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from job.errors import StoreError
from job.settings import RETRY_DEADLINE_S

T = TypeVar("T")
log = logging.getLogger(__name__)


class TransientError(Exception):
    """A refusal that may pass: 5xx, 429, a reset connection, a timeout, a body that was cut."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long to try. The delay doubles from the first to the longest, and each wait is a random part of it."""

    first_delay_s: float = 0.2
    max_delay_s: float = 10.0
    deadline_s: float = RETRY_DEADLINE_S.default
    request_timeout_s: float = 30.0

    @classmethod
    def from_environment(cls) -> "RetryPolicy":
        """The defaults, with the deadline that the environment sets."""
        return cls(deadline_s=RETRY_DEADLINE_S.value())


def retry(policy: RetryPolicy, what: str, attempt: Callable[[], T]) -> T:
    """Call `attempt` until it raises no `TransientError`; StoreError about `what` when the deadline passes first."""
    began = time.monotonic()
    delay_s = policy.first_delay_s
    for tries in range(1, 1_000_000):
        try:
            return attempt()
        except TransientError as error:
            wait_s = delay_s * random.uniform(0.5, 1.0)
            waited_s = time.monotonic() - began
            if waited_s + wait_s > policy.deadline_s:
                raise StoreError(f"{what}: gave up after {tries} tries in {waited_s:.0f} s: {error}") from error
            log.info("%s: try %d failed, next in %.1f s: %s", what, tries, wait_s, error)
            time.sleep(wait_s)
            delay_s = min(2 * delay_s, policy.max_delay_s)
    raise StoreError(f"{what}: gave up")
