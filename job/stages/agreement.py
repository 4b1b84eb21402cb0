"""Whether scaled decoding changes labels: of a sample of scaled images the model is asked for the exact ones, too.

The answer is a word of `image_notes`, so that it is committed with the row and a resumed run counts right.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from job.spec.columns import CARRIED, EXACT_IMAGE, PREDICTED, SCALED_AGREES, SCALED_DIFFERS

_LABELS = {"classify": "label_index", "detect": "label_indices"}


def carried_columns(
    decoded: pa.RecordBatch,
    task: str,
    predicted: Sequence[pa.Array],
    predict: Callable[[pa.RecordBatch], list[pa.Array]],
) -> list[pa.Array]:
    """The columns of `CARRIED`, with the comparison's word in the notes of each image that was decoded both ways.

    `predicted` is what `predict` gave for the batch.
    """
    carried = [decoded[name] for name in CARRIED]
    if EXACT_IMAGE not in decoded.schema.names:
        return carried
    is_sampled = decoded[EXACT_IMAGE].is_valid()
    sampled = decoded.filter(is_sampled)
    if not sampled.num_rows:
        return carried
    exact = sampled.set_column(sampled.schema.get_field_index("image"), "image", sampled[EXACT_IMAGE])
    column = PREDICTED[task].index(_LABELS[task])
    words = [
        SCALED_AGREES if _labels(scaled) == _labels(exactly) else SCALED_DIFFERS
        for scaled, exactly in zip(predicted[column].filter(is_sampled), predict(exact)[column], strict=True)
    ]
    notes = decoded["image_notes"].to_pylist()
    for row, word in zip(is_sampled.to_numpy(zero_copy_only=False).nonzero()[0], words, strict=True):
        notes[row] = [*(notes[row] or ()), word]
    carried[CARRIED.index("image_notes")] = pa.array(notes, decoded["image_notes"].type)
    return carried


def _labels(value: pa.Scalar) -> Any:
    """An image's label, or those of its boxes, in no order."""
    found = value.as_py()
    return sorted(found) if isinstance(found, list) else found
