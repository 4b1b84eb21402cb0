"""Patience with a store, by a clock of its own: how long it waits, how the waits grow, when it gives up."""

import pytest

from job.errors import StoreError
from job.stores import retry as patience
from job.stores.retry import RetryPolicy, TransientError, retry


class Clock:
    """Time passes in sleeps alone."""

    def __init__(self):
        self.now, self.slept = 100.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: high)
    return clock


def failing(times):
    """An attempt that fails so often, and then gives its number."""
    tries = []

    def attempt():
        tries.append(1)
        if len(tries) <= times:
            raise TransientError("503")
        return len(tries)

    return attempt


def test_waits_double_up_to_the_longest(clock):
    policy = RetryPolicy(first_delay_s=0.5, max_delay_s=3.0, deadline_s=60.0)
    assert retry(policy, "reading", failing(5)) == 6
    assert clock.slept == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_wait_is_a_random_part_of_the_delay(clock, monkeypatch):
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: low)
    retry(RetryPolicy(first_delay_s=1.0, deadline_s=60.0), "reading", failing(2))
    assert clock.slept == [0.5, 1.0]


def test_it_gives_up_before_a_wait_would_pass_the_deadline(clock):
    policy = RetryPolicy(first_delay_s=1.0, max_delay_s=100.0, deadline_s=10.0)
    with pytest.raises(StoreError, match=r"reading s3://b/k: gave up after 4 tries in 7 s: 503"):
        retry(policy, "reading s3://b/k", failing(100))
    assert clock.slept == [1.0, 2.0, 4.0]


def test_what_is_not_transient_is_not_tried_again(clock):
    def attempt():
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError):
        retry(RetryPolicy(), "reading", attempt)
    assert clock.slept == []
