"""Counting by class: how often each name was expected, met, and taken for another.

`evaluation` feeds it rows as integer codes into a list of names. Memory grows with the names and with the pairs of
names that were confused, never with the rows, and stops at a limit for both.
"""

import heapq
import sys
from collections.abc import Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from job.plan.records import ClassAccuracy, Confusion

# Room for ImageNet-21k. More distinct names mean that the expected "labels" are really ids: counted, not told apart.
MAX_CLASSES = 25_000
MAX_CONFUSIONS = 200_000  # pairs, about 250 bytes each
LISTED_CONFUSIONS = 10
LISTED_NAMES = 10

Codes = npt.NDArray[np.int64]  # into a list of names; -1 is null


class NameCounter:
    """Counts by name, of at most `MAX_CLASSES` names; later ones are dropped."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.is_capped = False

    def add(self, names: Sequence[str], tally: Codes) -> None:
        for code in np.flatnonzero(tally).tolist():
            name = names[code]
            if name in self.counts:
                self.counts[name] += int(tally[code])
            elif len(self.counts) < MAX_CLASSES:
                self.counts[name] = int(tally[code])
            else:
                self.is_capped = True

    def listed(self) -> dict[str, int]:
        """The most frequent first, equals by name."""
        return dict(sorted(self.counts.items(), key=lambda item: (-item[1], item[0])))


class Accuracy:
    """Right and wrong, of the rows that have an expected label."""

    def __init__(self) -> None:
        self.k = 0  # labels compared for top-k: 5, or what the rows hold
        self._rows = self._right = self._right_in_top = 0
        self._expected = NameCounter()
        self._right_by_name = NameCounter()
        self._confusions: dict[tuple[str, str], int] = {}
        self._is_full = False

    @property
    def is_capped(self) -> bool:
        return self._is_full or self._expected.is_capped

    def add(self, names: Sequence[str], expected: Codes, label: Codes, top_hits: npt.NDArray[np.bool_]) -> None:
        right = (expected == label) & (expected >= 0)
        self._rows += int(np.count_nonzero(expected >= 0))
        self._right += int(np.count_nonzero(right))
        self._right_in_top += int(np.count_nonzero(top_hits))
        self._expected.add(names, tally(expected, len(names)))
        self._right_by_name.add(names, tally(expected[right], len(names)))
        wrong = ~right & (expected >= 0) & (label >= 0)
        pairs, counts = np.unique(expected[wrong] * len(names) + label[wrong], return_counts=True)
        for pair, number in zip(pairs.tolist(), counts.tolist(), strict=True):
            self._add_confusion(names[pair // len(names)], names[pair % len(names)], number)

    def metrics(self, known: Set[str] | None) -> dict[str, Any]:
        """The fields of `Metrics` that are its; `evaluated` alone where no row has an expected label."""
        if not self._rows:
            return {"evaluated": 0}
        return {
            "evaluated": self._rows,
            "top1": self._right / self._rows,
            "k": self.k,
            "top_k": self._right_in_top / self._rows if self.k > 1 else None,
            "unknown_expected": dict(list(self.unknown(known).items())[:LISTED_NAMES]),
            "confusions": self._costliest_confusions(),
            "per_class": self._per_class(),
        }

    def unknown(self, known: Set[str] | None) -> dict[str, int]:
        """Expected names that the model does not know, with their rows, the most frequent first.

        Empty where `known` is None: it is not known what the model knows.
        """
        expected = self._expected.listed()
        return {name: number for name, number in expected.items() if known is not None and name not in known}

    def _add_confusion(self, expected: str, label: str, number: int) -> None:
        if (expected, label) in self._confusions:
            self._confusions[expected, label] += number
        elif len(self._confusions) < MAX_CONFUSIONS:
            # Interned: every shard decodes its names anew, and the pairs would hold a copy each.
            self._confusions[sys.intern(expected), sys.intern(label)] = number
        else:
            self._is_full = True

    def _costliest_confusions(self) -> list[Confusion]:
        ranked = heapq.nsmallest(LISTED_CONFUSIONS, self._confusions.items(), key=lambda item: (-item[1], item[0]))
        wrong = self._rows - self._right
        return [
            Confusion(expected=expected, label=label, count=number, share=number / wrong)
            for (expected, label), number in ranked
        ]

    def _per_class(self) -> dict[str, ClassAccuracy]:
        """The worst first; among equals, the one with more images."""
        right = self._right_by_name.counts
        rows = [(right.get(name, 0) / number, -number, name) for name, number in self._expected.counts.items()]
        return {name: ClassAccuracy(n=-negative, top1=top1) for top1, negative, name in sorted(rows)}


def tally(codes: Codes, names: int) -> Codes:
    """How often each of the first `names` codes occurs; nulls are left out."""
    return np.bincount(codes[codes >= 0], minlength=names).astype(np.int64)
