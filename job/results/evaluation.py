"""What a run found, in figures: accuracy against the expected labels, counts of each class, failures by kind.

The driver adds every committed shard once, in any order, and puts `metrics()` into `_SUCCESS`. Nothing is kept for an
image, only for a class and for a pair of classes that were taken for each other. Knows neither Ray nor models.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from job.plan.records import Metrics
from job.results.accuracy import MAX_CLASSES, MAX_CONFUSIONS, Accuracy, Codes, NameCounter, tally
from job.results.image_notes import NoteCounter
from job.terminal.wording import counted, shorten

TOP_K = 5
LISTED_NAMES = 10


class Evaluation:
    """Counts over the predictions of a run, in memory bounded by the number of classes.

    An expected label is unknown where none of the model's classes is called so. A resumed run in which nothing was
    left to do has loaded no model, and calls none unknown.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._failed: Counter[str] = Counter()
        self._notes = NoteCounter()
        self._predicted = NameCounter()
        self._boxes: int | None = None  # None until a detection table comes
        self._without_box = 0
        self._accuracy = Accuracy()
        self._classes: frozenset[str] | None = None  # None until they are known

    def add(self, predictions: pa.Table) -> None:
        """Counts the rows of one shard; columns as in a predictions file."""
        self._rows += predictions.num_rows
        errors = predictions["error"].combine_chunks()
        self._failed.update(failed_by_kind(errors))
        self._notes.add(predictions)
        is_detection = "boxes" in predictions.column_names
        rows = predictions.select(["labels"] if is_detection else ["expected", "label", "top_labels"])
        if errors.null_count < len(errors):
            rows = rows.filter(pc.is_null(errors))
        if is_detection:
            self._add_boxes(rows["labels"].combine_chunks())
        else:
            self._add_labels(rows)

    def know(self, classes: Sequence[str]) -> None:
        """Takes the names of the model's classes; an empty list says nothing."""
        if classes and self._classes is None:
            self._classes = frozenset(classes)

    @property
    def failed_by_kind(self) -> dict[str, int]:
        """The most frequent first, equals by name."""
        return dict(sorted(self._failed.items(), key=lambda item: (-item[1], item[0])))

    def metrics(self) -> Metrics | None:
        """The figures; None before any row was added.

        Accuracy is over the rows with an expected label and no error, and is left out where there are none. The
        costliest confusion comes first; its share is that of all wrong rows.
        """
        if not self._rows:
            return None
        common: dict[str, Any] = {"rows": self._rows, "failed_by_kind": self.failed_by_kind}
        common["image_notes"] = self._notes.counts() or None
        common["warnings"] = (*self._warnings(), *self._notes.warnings(self._rows))
        if self._boxes is not None:
            return Metrics(
                **common,
                boxes=self._boxes,
                images_without_box=self._without_box,
                boxes_per_class=self._predicted.listed(),
            )
        accuracy = self._accuracy.metrics(self._classes)
        return Metrics(**common, predicted_per_class=self._predicted.listed(), **accuracy)

    def _add_labels(self, rows: pa.Table) -> None:
        expected, label, top = (rows[name].combine_chunks() for name in ("expected", "label", "top_labels"))
        names, codes = _encode(expected, label, top.flatten())
        expected_codes, label_codes, top_codes = np.split(codes, [len(rows), 2 * len(rows)])
        self._predicted.add(names, tally(label_codes, len(names)))
        top_lengths = pc.list_value_length(top).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        top_hits = _top_hits(expected_codes, top_codes, top_lengths)
        self._accuracy.add(names, expected_codes, label_codes, top_hits)
        self._accuracy.k = max(self._accuracy.k, min(TOP_K, int(top_lengths.max(initial=0))))

    def _add_boxes(self, labels: pa.ListArray) -> None:
        names, codes = _encode(labels.flatten())
        self._predicted.add(names, tally(codes, len(names)))
        self._boxes = (self._boxes or 0) + len(codes)
        self._without_box += int(pc.sum(pc.equal(pc.list_value_length(labels).fill_null(0), 0)).as_py() or 0)

    def _warnings(self) -> list[str]:
        warnings = []
        unknown = self._accuracy.unknown(self._classes)
        if unknown:
            some = ", ".join(shorten(name, 40) for name in list(unknown)[:LISTED_NAMES])
            more = ", …" if len(unknown) > LISTED_NAMES else ""
            warnings.append(
                f"{counted(sum(unknown.values()), 'image')} expected {counted(len(unknown), 'label')} that are none"
                f" of the model's classes ({some}{more}) and counted as wrong; source.label_names maps expected"
                " labels to class names"
            )
        if self._accuracy.is_capped:
            warnings.append(
                f"more than {counted(MAX_CLASSES, 'expected label')} or {counted(MAX_CONFUSIONS, 'confusion')}:"
                " the rest counts in the totals only; is label_from a column of ids?"
            )
        return warnings


def failed_by_kind(errors: pa.Array) -> dict[str, int]:
    """How many rows failed with each kind of error; the kind is what stands before the colon."""
    failed = errors.drop_null()
    if not len(failed):
        return {}
    kinds = pc.list_element(pc.split_pattern(failed, ":", max_splits=1), 0)
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(kinds).to_pylist()}


def _encode(*columns: pa.Array) -> tuple[list[str], Codes]:
    """One dictionary for all columns: names, and the codes of the columns one after the other; -1 is null."""
    encoded = pa.concat_arrays([column.cast(pa.string()) for column in columns]).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.fill_null(-1).to_numpy().astype(np.int64)


def _top_hits(expected: Codes, top: Codes, lengths: Codes) -> npt.NDArray[np.bool_]:
    """Whether the expected name is among the first five of each row; `top` holds the rows' lists end to end."""
    row = np.repeat(np.arange(len(expected)), lengths)
    place = np.arange(len(top)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    hits = np.zeros(len(expected), dtype=np.bool_)
    hits[row[(top == expected[row]) & (place < TOP_K)]] = True
    return hits & (expected >= 0)
