import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from job.report.histogram import ScoreHistogram


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=200))
def test_every_score_is_in_one_bin_and_quantiles_are_right_to_a_thousandth(scores: list[float]) -> None:
    histogram = ScoreHistogram()
    for part in (scores[:70], scores[70:]):
        histogram.add(np.array(part, dtype=np.float32))
    assert histogram.total == sum(entry.count for entry in histogram.bins()) == len(scores)
    for fraction in (0.1, 0.5):
        exact = sorted(scores)[max(1, int(np.ceil(fraction * len(scores)))) - 1]
        assert abs(histogram.quantile(fraction) - exact) <= 0.00101


def test_a_score_on_an_edge_is_in_the_bin_above_it() -> None:
    histogram = ScoreHistogram()
    histogram.add(np.array([0.0, 0.05, 0.3, 0.95, 1.0], dtype=np.float32), np.array([True, False, False, True, False]))
    assert [(i, entry.count, entry.wrong) for i, entry in enumerate(histogram.bins()) if entry.count] == [
        (0, 1, 1),
        (1, 1, 0),
        (6, 1, 0),
        (19, 2, 1),
    ]


def test_bins_begin_where_the_threshold_lets_scores_begin() -> None:
    histogram = ScoreHistogram()
    histogram.add(np.array([0.9, 0.951, 1.0], dtype=np.float32))
    bins = histogram.bins()
    assert (bins[0].low, bins[-1].high, len(bins)) == (0.9, 1.0, 20)
    assert sum(entry.count for entry in bins) == 3


def test_scores_that_are_no_number_are_counted_apart() -> None:
    histogram = ScoreHistogram()
    histogram.add(np.array([np.nan, 0.5, np.inf], dtype=np.float32), np.array([True, True, False]))
    assert (histogram.not_numbers, histogram.total) == (1, 2)
    assert sum(entry.wrong for entry in histogram.bins()) == 1
    assert np.isnan(ScoreHistogram().quantile(0.5))
