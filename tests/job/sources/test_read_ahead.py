"""Reading ahead: in order, within the bound, and never a deadlock, whatever the order of the takers."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.sources.read_ahead import ReadAhead


@given(
    costs=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    budget=st.integers(0, 20),
    threads=st.integers(1, 4),
    data=st.data(),
)
def test_every_unit_is_fetched_once_and_given_to_every_taker(costs, budget, threads, data):
    takers = [data.draw(st.integers(1, 3)) for _ in costs]
    order = data.draw(st.permutations([unit for unit, times in enumerate(takers) for _ in range(times)]))
    fetched = []
    ahead = ReadAhead(lambda unit: fetched.append(unit) or unit * 10, costs, takers, threads, budget)

    assert [ahead.take(unit) for unit in order] == [unit * 10 for unit in order]
    assert sorted(fetched) == list(range(len(costs)))
    if threads == 1:
        assert fetched == sorted(fetched)


def test_no_more_than_the_budget_is_held():
    fetched = []
    done = threading.Semaphore(0)

    def fetch(unit):
        fetched.append(unit)
        done.release()
        return unit

    ahead = ReadAhead(fetch, [5] * 10, [2] * 10, 2, 10)
    for _ in range(2):
        done.acquire(timeout=5)
    assert not done.acquire(timeout=0.1)
    assert sorted(fetched) == [0, 1]

    ahead.take(0)
    assert not done.acquire(timeout=0.1)
    ahead.take(0)
    assert done.acquire(timeout=5)
    assert sorted(fetched) == [0, 1, 2]


def test_a_failed_unit_fails_each_of_its_takers():
    def fetch(unit):
        raise ValueError(unit)

    ahead = ReadAhead(fetch, [1, 1], [2, 1], 1, 1)

    for unit in (0, 0, 1):
        with pytest.raises(ValueError, match=str(unit)):
            ahead.take(unit)


def test_a_unit_taken_after_the_end_is_fetched_then():
    release = threading.Event()
    ahead = ReadAhead(lambda unit: release.wait(5) and unit, [1] * 3, [1] * 3, 1, 3)
    ahead.close()
    release.set()

    assert [ahead.take(unit) for unit in (2, 1, 0)] == [2, 1, 0]


def test_what_units_cost_is_learned_where_it_was_guessed():
    fetched = []
    done = threading.Semaphore(0)

    def fetch(unit):
        fetched.append(unit)
        done.release()
        return b"x" * 40

    ahead = ReadAhead(fetch, [60] * 20, [1] * 20, 1, 100, cost_of=len)
    for _ in range(2):  # after the first, 40 bytes each: a second has room, a third has not
        assert done.acquire(timeout=5)
    assert not done.acquire(timeout=0.1)

    assert [ahead.take(unit) for unit in range(20)] == [b"x" * 40] * 20
    assert fetched == list(range(20))


def test_a_unit_that_was_not_begun_is_fetched_after_the_end():
    ahead = ReadAhead(lambda unit: unit, [5] * 10, [1] * 10, 1, 5)
    ahead.close()

    assert [ahead.take(unit) for unit in range(10)] == list(range(10))
