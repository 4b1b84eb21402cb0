"""How the scores are spread: counts in a thousand bins, shown as twenty.

`report` feeds it; memory is constant. Scores are probabilities, and what is none (NaN) is counted apart: a model
that overflows in half precision shows there first.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FINE_BINS = 1000
BINS = 20
LOWEST = (0.9, 0.8, 0.5)  # where the bins may begin, besides 0


@dataclass(frozen=True)
class Bin:
    """Scores from `low` up to, but for the last bin without, `high`."""

    low: float
    high: float
    count: int
    wrong: int


class ScoreHistogram:
    """Counts of scores in 0..1, those of wrong predictions also apart."""

    def __init__(self) -> None:
        self._all = np.zeros(FINE_BINS, dtype=np.int64)
        self._wrong = np.zeros(FINE_BINS, dtype=np.int64)
        self.not_numbers = 0

    def add(self, scores: npt.NDArray[np.floating], wrong: npt.NDArray[np.bool_] | None = None) -> None:
        numbers = ~np.isnan(scores)
        self.not_numbers += int(np.count_nonzero(~numbers))
        # The small step keeps 0.29 out of the bin below 0.29, where its float32 times 1,000 would put it.
        fine = np.clip(scores[numbers].astype(np.float64) * FINE_BINS + 1e-4, 0, FINE_BINS - 1).astype(np.int64)
        self._all += np.bincount(fine, minlength=FINE_BINS)
        if wrong is not None:
            self._wrong += np.bincount(fine[wrong[numbers]], minlength=FINE_BINS)

    @property
    def total(self) -> int:
        return int(self._all.sum())

    def bins(self) -> list[Bin]:
        """Twenty bins of the same width up to 1, the first at 0 or where scores begin: boxes have a threshold."""
        low = next((low for low in LOWEST if not self._all[: round(low * FINE_BINS)].any()), 0.0)
        counts, wrong = (
            fine[round(low * FINE_BINS) :].reshape(BINS, -1).sum(axis=1).tolist() for fine in (self._all, self._wrong)
        )
        edges = np.linspace(low, 1, BINS + 1).tolist()
        return [Bin(edges[i], edges[i + 1], counts[i], wrong[i]) for i in range(BINS)]

    def quantile(self, fraction: float) -> float:
        """The score that this fraction of all scores does not exceed, to a thousandth; NaN where there are none."""
        if not self.total:
            return float("nan")
        rank = max(1, int(np.ceil(fraction * self.total)))
        return (int(np.searchsorted(np.cumsum(self._all), rank)) + 0.5) / FINE_BINS
