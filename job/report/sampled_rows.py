"""Which rows the report shows: a few, chosen while the shards stream by.

`report` feeds the lists. A choice depends on the run id and the rows alone, not on the order the shards come in,
so that a resumed run shows the same pictures. Memory is bounded by the size of the lists.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MAX_BOXES = 100  # kept of one image, the best; more would draw a thicket


@dataclass(frozen=True)
class Box:
    """A found object; corners in the original image's pixels."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: str
    score: float


@dataclass(frozen=True)
class SampledRow:
    """A row that the page shows; `top` and `label` are of a classification, `boxes` of a detection."""

    shard: int
    row: int
    uri: str
    width: int
    height: int
    notes: Sequence[str] = ()  # how it was read, so that it is read alike for its picture
    expected: str | None = None
    label: str | None = None
    score: float | None = None
    top: Sequence[tuple[str, float]] = ()
    boxes: Sequence[Box] = ()

    @property
    def key(self) -> tuple[int, int]:
        return self.shard, self.row


class Shortlist:
    """The rows of a stream that come first by (rank, tie), at most `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: list[tuple[float, int, dict[str, Any]]] = []

    def offer(self, rows: pa.Table, rank: npt.NDArray[np.float64], tie: npt.NDArray[np.uint64]) -> None:
        """Takes the rows that belong on the list and drops those they push out; a rank of NaN never does."""
        if not self._size:
            return
        is_full = len(self._entries) == self._size
        chosen = np.flatnonzero(rank <= (self._entries[-1][0] if is_full else np.inf))
        if not len(chosen):
            return
        chosen = chosen[np.lexsort((tie[chosen], rank[chosen]))[: self._size]]
        taken = rows.take(pa.array(chosen)).to_pylist()
        self._entries.extend(zip(rank[chosen].tolist(), tie[chosen].tolist(), taken, strict=True))
        self._entries.sort(key=itemgetter(0, 1))
        del self._entries[self._size :]

    def rows(self) -> list[dict[str, Any]]:
        return [row for _, _, row in self._entries]


def row_hashes(run_id: str, shard: int, rows: int) -> npt.NDArray[np.uint64]:
    """An evenly spread number for each row of a shard, always the same one for the same run (splitmix64)."""
    seed = int.from_bytes(hashlib.blake2b(run_id.encode(), digest_size=8).digest())
    hashes = np.arange(rows, dtype=np.uint64) + np.uint64(shard << 32)
    hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def to_sampled_row(row: dict[str, Any]) -> SampledRow:
    """A row of a predictions table, with its shard and row number, as the page wants it."""
    return SampledRow(
        shard=row["shard"],
        row=row["row"],
        uri=row["uri"],
        width=row["width"],
        height=row["height"],
        notes=tuple(row.get("image_notes") or ()),
        expected=row.get("expected"),
        label=row.get("label"),
        score=row.get("score"),
        top=tuple(zip(row.get("top_labels") or (), row.get("top_scores") or (), strict=True)),
        boxes=_best_boxes(row) if "boxes" in row else (),
    )


def _best_boxes(row: dict[str, Any]) -> tuple[Box, ...]:
    found = zip(row["boxes"] or (), row["labels"] or (), row["scores"] or (), strict=True)
    boxes = [Box(x0, y0, x1, y1, label, score) for (x0, y0, x1, y1), label, score in found]
    return tuple(sorted(boxes, key=lambda box: -box.score)[:MAX_BOXES])
