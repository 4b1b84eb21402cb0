"""How many images were read in a way that is to be known: turned or not, and clipped. For the figures and the report.

Counted from the column `image_notes`, which is in every predictions file: a resumed run counts right. Files of versions
before it have no such column and count as none.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from job.spec.columns import (
    DEPTH_CLIPPED,
    ORIENTATION_APPLIED,
    ORIENTATION_KEPT,
    SCALED,
    SCALED_AGREES,
    SCALED_DIFFERS,
)
from job.terminal.wording import counted, percent

MEANINGS = {
    ORIENTATION_APPLIED: "stored turned, read upright",
    ORIENTATION_KEPT: "stored turned, read as stored",
    DEPTH_CLIPPED: "deeper than 8 bits, cut off at 255",
    SCALED: "decoded at a reduced scale",
    SCALED_AGREES: "of those decoded exactly, too, with the same label",
    SCALED_DIFFERS: "of those decoded exactly, too, with another label",
}
MANY = 0.01  # of the images; a stray one among thousands is not worth a warning


class NoteCounter:
    """Rows by note, in memory bounded by the number of notes there are."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, predictions: pa.Table) -> None:
        if "image_notes" in predictions.column_names:
            notes = pc.list_flatten(predictions["image_notes"])
            self._counts.update({each["values"]: each["counts"] for each in pc.value_counts(notes).to_pylist()})

    def counts(self) -> dict[str, int]:
        """By note, in the order of `MEANINGS`; without those of no image."""
        return {note: self._counts[note] for note in MEANINGS if self._counts[note]}

    def warnings(self, rows: int) -> Iterator[str]:
        kept, clipped = self._counts[ORIENTATION_KEPT], self._counts[DEPTH_CLIPPED]
        if kept > MANY * rows:
            yield (
                f"{counted(kept, 'image')}, {percent(kept / rows)}, {_are(kept)} stored turned and {_were(kept)} read"
                " so; source.orientation: apply turns them upright"
            )
        agrees, differs = self._counts[SCALED_AGREES], self._counts[SCALED_DIFFERS]
        if differs > MANY * (agrees + differs):
            yield (
                f"{counted(differs, 'image')} of {agrees + differs} that were decoded both scaled and exactly"
                f" {_were(differs)} labelled otherwise, {percent(differs / (agrees + differs))}; source.decode: exact"
                " gives the labels of the plain pipeline"
            )
        if clipped:
            yield (
                f"{counted(clipped, 'image')} of 16 or 32 bits or floats {_were(clipped)} cut off at 255, as Pillow"
                " does, and may be white or black; source.depth: scale reads them right"
            )


def notes_in_words(counts: Mapping[str, int]) -> Iterator[str]:
    """A line for each note, with what it means."""
    for note, number in counts.items():
        if note not in (SCALED_AGREES, SCALED_DIFFERS):
            yield f"{counted(number, 'image')} {MEANINGS.get(note, note)}"
    agrees, differs = counts.get(SCALED_AGREES, 0), counts.get(SCALED_DIFFERS, 0)
    if agrees + differs:
        share = percent(agrees / (agrees + differs))
        yield f"scaled decoding: {share} of {counted(agrees + differs, 'sampled image')} labelled as by exact decoding"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
