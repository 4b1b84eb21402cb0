"""The simulation of a run: the slowest stage sets its rate, and pods that are late or lost cost what they must."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from job.plan.forecast.forecast import steady_rate
from job.plan.forecast.rates import StageRates
from job.plan.forecast.simulation import Pods, Shared, simulate

SECONDS = st.floats(1e-5, 0.1)


@settings(max_examples=25)  # a fifth of a second each
@example(StageRates(0.0625, 0.0625, 0.0625, 6.25e-05, 0), Pods(1, 1.0), Shared(10.0, 0.0))
@given(
    st.builds(StageRates, SECONDS, SECONDS, SECONDS, SECONDS.map(lambda s: s / 1000), st.sampled_from([0, 8])),
    st.builds(Pods, st.integers(1, 40), st.floats(1, 64)),
    st.builds(Shared, st.floats(10, 1e5), st.floats(0, 0.01)),
)
def test_a_long_run_comes_to_the_rate_of_its_slowest_stage(rates, pods, shared):
    outcome = simulate(pods.count * 400_000, rates, pods, shared)
    assert outcome.images_per_second == pytest.approx(steady_rate(rates, pods, shared), rel=0.03)
    assert max(outcome.busy.values()) > 0.9


def test_the_stage_that_limits_is_named():
    fast = StageRates(1e-4, 1e-4, 1e-4)
    pods = Pods(4, 8)
    for stage, rates, shared in (
        ("decode", StageRates(1e-4, 0.1, 1e-4, requests_ahead=8), Shared()),
        ("read", StageRates(0.5, 1e-3, 1e-4, requests_ahead=8), Shared()),
        ("read and decode", StageRates(0.06, 0.06, 1e-4), Shared(store_images_a_second=300)),
        ("predict", StageRates(1e-4, 1e-4, 0.1), Shared()),
        ("store", fast, Shared(store_images_a_second=100)),
        ("driver", fast, Shared(chunk_s=10)),
    ):
        assert simulate(1_000_000, rates, pods, shared).bottleneck == stage


def test_time_begins_when_the_run_is_asked_for_and_the_rate_when_a_pod_is_there():
    outcome = simulate(10_000, StageRates(0, 1e-3, 1e-3), Pods(1, 1, start_s=60), Shared(start_s=20, chunk_s=0))
    assert outcome.seconds == pytest.approx(70, abs=2)
    assert outcome.working_s == pytest.approx(10, abs=2)
    assert outcome.pod_seconds == pytest.approx(outcome.working_s)


def test_pods_that_come_one_after_the_other_work_from_when_they_come():
    rates = StageRates(0, 1e-6, 1e-3)
    outcome = simulate(100_000, rates, Pods(4, 1, apart_s=10), Shared(chunk_s=0))
    # 1,000 images a second each, from 0, 10, 20 and 30 s on.
    assert outcome.seconds == pytest.approx((100 + 60) / 4, abs=1.5)


def test_pods_that_are_taken_away_lose_what_they_held_and_no_image():
    rates, shared = StageRates(0, 1e-6, 1e-3), Shared(chunk_s=0)
    calm = simulate(1_000_000, rates, Pods(8, 1, start_s=30), shared)
    stormy = simulate(1_000_000, rates, Pods(8, 1, start_s=30, lives_s=60), shared)
    assert stormy.images == calm.images
    assert stormy.lost_chunks > 5
    # Of 90 s a pod works 60, less what it loses.
    assert 1.3 < stormy.working_s / calm.working_s < 1.8
    assert stormy == simulate(1_000_000, rates, Pods(8, 1, start_s=30, lives_s=60), shared)


def test_a_thousand_million_images_are_simulated_in_as_many_steps_as_a_few_million():
    outcome = simulate(10**9, StageRates(0.03, 1e-3, 1e-4, requests_ahead=8), Pods(64, 15), Shared())
    assert outcome.images == 10**9
    assert math.isfinite(outcome.seconds)
