"""The budget: threads wait until there is room, in their order, and what is larger than all of it goes alone."""

import threading
import time

import pytest

from job.settings import DECODE_BYTES
from job.stages.pixel_budget import SHARE, NoRoomError, PixelBudget, process_budget


class Taker(threading.Thread):
    """Takes its bytes in a thread of its own, which starts at once."""

    def __init__(self, budget, size):
        super().__init__(daemon=True)
        self.hold, self.size = budget.hold(), size
        self.start()
        time.sleep(0.05)

    def run(self):
        self.hold.reserve(self.size)

    @property
    def has_it(self):
        self.join(0.05)
        return not self.is_alive()


def test_a_thread_waits_until_there_is_room():
    budget = PixelBudget(100)
    first, second, third = (Taker(budget, size) for size in (60, 40, 1))
    assert (first.has_it, second.has_it, third.has_it) == (True, True, False)
    second.hold.shrink(39)
    assert third.has_it
    assert budget.held == 100


def test_what_is_larger_than_the_budget_goes_alone():
    budget = PixelBudget(100)
    small, large, late = (Taker(budget, size) for size in (1, 5000, 1))
    assert (small.has_it, large.has_it) == (True, False)
    small.hold.release()
    assert large.has_it
    assert budget.held == 100
    assert not late.has_it
    large.hold.release()
    assert late.has_it


def test_small_ones_do_not_overtake_a_large_one():
    budget = PixelBudget(100)
    first, large, small = (Taker(budget, size) for size in (50, 80, 10))
    assert (large.has_it, small.has_it) == (False, False)
    with pytest.raises(NoRoomError):
        budget.hold().reserve(10, waits=False)
    first.hold.release()
    assert large.has_it
    assert small.has_it


def test_a_second_reservation_takes_the_place_of_the_first():
    budget = PixelBudget(100)
    with budget.hold() as hold:
        hold.reserve(70)
        hold.reserve(90)
        assert budget.held == 90
    assert budget.held == 0


def test_who_may_not_wait_is_told_at_once_and_holds_nothing():
    budget = PixelBudget(100)
    with budget.hold() as first, budget.hold() as second:
        first.reserve(70)
        second.reserve(20, waits=False)
        with pytest.raises(NoRoomError):
            second.reserve(40, waits=False)
        assert budget.held == 70


def test_a_process_has_one_budget_of_the_memory_that_it_may_use(monkeypatch):
    monkeypatch.delenv(DECODE_BYTES.name, raising=False)
    monkeypatch.setattr("job.stages.pixel_budget.memory_bytes", lambda: 24 << 30)
    process_budget.cache_clear()
    assert process_budget() is process_budget()
    assert process_budget().total == (24 << 30) * SHARE
    assert process_budget(1 / 4).total == (6 << 30) * SHARE
    process_budget.cache_clear()
    monkeypatch.setenv(DECODE_BYTES.name, "1000000")
    assert process_budget().total == 1_000_000
    process_budget.cache_clear()
