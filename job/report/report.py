"""The report: what is gathered while shards are committed, and the page made of it at the end.

The driver adds every committed shard once, in any order, asks for `sampled()`, makes a `thumbnail` of each, and writes
what `render` returns. Memory is bounded by the number of samples. Reads no image itself and knows no source.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from job.report.histogram import ScoreHistogram
from job.report.page import FailedRow, Gallery, RunFigures, render_page
from job.report.sampled_rows import SampledRow, Shortlist, row_hashes, to_sampled_row
from job.spec.columns import HIDDEN, RESERVED

FAILED_EXAMPLES = 10  # rows shown of each kind of error
# Kept columns are not shown, and may be large.
SHOWN_COLUMNS = tuple(RESERVED - HIDDEN)

Hashes = npt.NDArray[np.uint64]


class Report:
    """Gathers the pictures and figures of one run; `samples` is the number of pictures in each gallery."""

    def __init__(self, task: Literal["classify", "detect"], samples: int, run_id: str) -> None:
        self._task = task
        self._run_id = run_id
        self._scores = ScoreHistogram()
        self._sample = Shortlist(samples)
        self._least_certain = Shortlist(samples)
        self._wrong = Shortlist(samples)
        self._without_box = Shortlist(samples)
        self._failed: dict[str, Shortlist] = {}

    def add(self, predictions: pa.Table, shard: int) -> None:
        """Takes the rows of one shard; columns as in a predictions file, all rows of the shard in their order."""
        rows = predictions.select([name for name in SHOWN_COLUMNS if name in predictions.column_names])
        rows = rows.append_column("shard", pa.array(np.full(len(rows), shard, dtype=np.int32)))
        rows = rows.append_column("row", pa.array(np.arange(len(rows), dtype=np.int32)))
        hashes = row_hashes(self._run_id, shard, len(rows))
        has_failed = pc.is_valid(rows["error"]).to_numpy()
        if has_failed.any():
            self._add_failed(rows.filter(pa.array(has_failed)))
            rows, hashes = rows.filter(pa.array(~has_failed)), hashes[~has_failed]
        self._sample.offer(rows, hashes.astype(np.float64), hashes)
        if self._task == "detect":
            self._add_detections(rows, hashes)
        else:
            self._add_classifications(rows, hashes)

    def sampled(self) -> list[SampledRow]:
        """The rows that need a thumbnail, in the order of the manifest."""
        sampled = {sample.key: sample for gallery in self._galleries() for sample in gallery.sampled}
        return [sampled[key] for key in sorted(sampled)]

    def render(self, figures: RunFigures, thumbnails: Mapping[tuple[int, int], bytes]) -> str:
        """The page as one HTML document that loads nothing; `thumbnails` by (shard, row), missing ones are said so."""
        failed = {
            kind: [FailedRow(row["uri"], row["error"].removeprefix(f"{kind}:").strip()) for row in rows.rows()]
            for kind, rows in self._failed.items()
        }
        return render_page(figures, self._galleries(), self._scores, failed, thumbnails)

    def _add_classifications(self, rows: pa.Table, hashes: Hashes) -> None:
        scores = rows["score"].to_numpy().astype(np.float64)
        is_wrong = pc.not_equal(rows["expected"], rows["label"]).fill_null(False).to_numpy()
        self._scores.add(scores, is_wrong)
        self._least_certain.offer(rows, np.nan_to_num(scores, nan=-1.0), hashes)
        self._wrong.offer(rows, np.where(is_wrong, -scores, np.nan), hashes)

    def _add_detections(self, rows: pa.Table, hashes: Hashes) -> None:
        lists = rows["scores"].combine_chunks()
        scores = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
        image = np.repeat(np.arange(len(rows)), lengths)
        sums = np.bincount(image, weights=np.nan_to_num(scores, nan=-1.0), minlength=len(rows))
        means = np.divide(sums, lengths, out=np.full(len(rows), np.nan), where=lengths > 0)
        self._scores.add(scores)
        self._least_certain.offer(rows, means, hashes)
        self._without_box.offer(rows, np.where(lengths == 0, hashes.astype(np.float64), np.nan), hashes)

    def _add_failed(self, rows: pa.Table) -> None:
        kinds = np.array([error.partition(":")[0] for error in rows["error"].to_pylist()])
        for kind in np.unique(kinds).tolist():
            some = rows.filter(pa.array(kinds == kind)).slice(0, FAILED_EXAMPLES)
            shortlist = self._failed.setdefault(kind, Shortlist(FAILED_EXAMPLES))
            shortlist.offer(some, some["shard"].to_numpy().astype(np.float64), some["row"].to_numpy().astype(np.uint64))

    def _galleries(self) -> Sequence[Gallery]:
        def gallery(name: str, title: str, note: str, shortlist: Shortlist) -> Gallery:
            return Gallery(name, title, note, [to_sampled_row(row) for row in shortlist.rows()])

        sample = gallery("samples", "Samples", "Drawn at random, the same ones at every rerun.", self._sample)
        if self._task == "detect":
            doubts, empty = "The images whose boxes score least, on average.", "Images in which nothing was found."
            return [
                sample,
                gallery("least-certain", "Least certain", doubts, self._least_certain),
                gallery("without-box", "Without a box", empty, self._without_box),
            ]
        doubts, mistakes = "The lowest scores of the run.", "The most certain mistakes, beside what was expected."
        return [
            sample,
            gallery("least-certain", "Least certain", doubts, self._least_certain),
            gallery("wrong", "Wrong", mistakes, self._wrong),
        ]
