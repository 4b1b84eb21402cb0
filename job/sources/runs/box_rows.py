"""Boxes of a detection run as rows: each with the columns of its image, and its place in whole pixels of it.

A row's URI is that of the image with a fragment: https://www.w3.org/TR/media-frags/#naming-space
"""

from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from job.sources.left_out import LeftOutCounts
from job.spec.columns import CROP, OF_ONE_BOX, ORIENTATION_APPLIED, ORIENTATION_KEPT
from job.stores.storage import ROWS_PER_TABLE

FAILED = "images of the earlier run that failed, and have no boxes"
NO_BOX = "images of the earlier run in which it found no box"
NO_PIXEL = "boxes of the earlier run that have no pixel of their image"
_FRAGMENT = r"#xywh=\d+,\d+,\d+,\d+\z"


def pieces(listed: pa.Table, predictions: pa.Table, left_out: LeftOutCounts) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Rows of the manifest and of the predictions, as they come, that have about `ROWS_PER_TABLE` boxes, or one row.

    Counts the images that have none.
    """
    counts = pc.fill_null(pc.list_value_length(predictions["boxes"]), 0).to_numpy()
    failed = pc.is_valid(predictions["error"]).to_numpy()
    for kind, none in ((FAILED, failed & (counts == 0)), (NO_BOX, ~failed & (counts == 0))):
        if none.any():
            left_out.add(kind, int(none.sum()), predictions["uri"][int(none.argmax())].as_py())
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + ROWS_PER_TABLE, side="right")))
        yield listed.slice(start, stop - start), predictions.slice(start, stop - start)
        start = stop


def to_box_rows(predictions: pa.Table) -> tuple[pa.Array, pa.Table]:
    """For each box the number of its image's row, and a row: the image's columns, and the box's own in `OF_ONE_BOX`."""
    of_image = pc.list_parent_indices(predictions["boxes"].combine_chunks())
    table = predictions.take(of_image)
    for lists, name in OF_ONE_BOX.items():
        if lists in predictions.column_names:
            values = pc.list_flatten(predictions[lists])
            at = table.schema.get_field_index(name)
            table = table.append_column(name, values) if at < 0 else table.set_column(at, name, values)
    return of_image, table


def crop_boxes(listed: pa.Table, boxes: pa.Table) -> pa.Table:
    """`listed`, a row for each of `boxes`, as crops: URIs with fragments, and the columns `CROP`.

    A box is rounded outward to whole pixels and clipped to its image; one without area, or outside, is 0 pixels wide.
    Of an image that is a crop itself, places count from the whole image.
    """
    xywh = _whole_pixels(_corners(boxes["box"]), boxes["width"].to_numpy(), boxes["height"].to_numpy())
    if CROP[0] in listed.column_names:
        outer = _corners(listed[CROP[0]]).astype(np.int32)
        xywh[:, :2] += outer[:, :2]
        orientations = listed[CROP[1]]
    else:
        orientations = _orientations(boxes)
    numbers = [pa.array(xywh[:, place]).cast(pa.string()) for place in range(4)]
    fragments = pc.binary_join_element_wise(*numbers, ",")
    at = listed.column_names.index("uri")
    uris = pc.binary_join_element_wise(without_fragments(listed)["uri"], fragments, "#xywh=")
    crops = pa.FixedSizeListArray.from_arrays(pa.array(xywh.reshape(-1), pa.int32()), 4)
    plain = listed.set_column(at, "uri", uris).drop_columns([name for name in CROP if name in listed.column_names])
    return plain.append_column(CROP[0], crops).append_column(CROP[1], orientations)


def has_pixels(crops: pa.Table) -> pa.Array:
    """Of what `crop_boxes` gave, which rows have a pixel."""
    sizes = _corners(crops[CROP[0]])[:, 2:]
    return pa.array(np.all(sizes > 0, axis=1))


def without_fragments(rows: pa.Table) -> pa.Table:
    """Rows as the source of their images knows them: where they are crops, without fragments."""
    if CROP[0] not in rows.column_names:
        return rows
    uris = pc.replace_substring_regex(rows["uri"], _FRAGMENT, "")
    return rows.set_column(rows.column_names.index("uri"), "uri", uris)


def _corners(fours: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """[N, 4] of lists of four; layout 1 wrote them without a fixed size."""
    flat = pc.list_flatten(fours).to_numpy()
    return cast(npt.NDArray[np.float64], flat.reshape(-1, 4).astype(np.float64))


def _whole_pixels(
    corners: npt.NDArray[np.float64], widths: npt.NDArray[np.int32], heights: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """[N, 4], left, top, width, height, of corners [N, 4] in pixels of images of those sizes."""
    sides = np.stack([widths, heights], axis=1).astype(np.float64)
    low, high = corners[:, :2], corners[:, 2:]
    has_area = np.all(high > low, axis=1, keepdims=True)  # no NaN is greater
    first = np.floor(np.clip(np.where(has_area, low, 0), 0, sides))
    end = np.ceil(np.clip(np.where(has_area, high, 0), 0, sides))
    return np.concatenate([first, np.maximum(end - first, 0)], axis=1).astype(np.int32)


def _orientations(boxes: pa.Table) -> pa.Array | pa.ChunkedArray:
    """Which way up each image was when its boxes were found: an `Orientation` of `job.recipe`."""
    if "image_notes" not in boxes.column_names:  # an older version's
        return pa.repeat(pa.scalar("Pillow"), boxes.num_rows)
    words = pc.fill_null(pc.binary_join(boxes["image_notes"], " "), "")
    kept = pc.if_else(pc.match_substring(words, ORIENTATION_KEPT), "keep", "Pillow")
    return pc.if_else(pc.match_substring(words, ORIENTATION_APPLIED), "apply", kept)
