"""What a recipe keeps of a JPEG: decoded and resized a strip at a time, so that no picture is ever whole in memory.

Bit for bit what decoding all of it and torch's antialiased resize give. That resizes rows first and columns then, with
bytes in between; so do we, for the rows of each strip and then for all of them.
"""

import math
import threading
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from job.recipe import TORCH_FILTERS, Interpolation, Kept, Size
from job.stages.formats.orientation import SIDEWAYS, turn_upright, upright_part
from job.stages.jpeg.jpeg_rows import JpegRows, last_row, open_rows
from job.stages.needed_bytes import is_progressive

Pixels = npt.NDArray[np.uint8]

# Of rows at one time: 700 of a photograph of 12 megapixels. Each strip costs a resize's table of weights, as large as
# the image is wide; a strip of 1 MB took a tenth longer.
STRIP_BYTES = 8 << 20
TURNED_BYTES = 1 << 20

_strips = threading.local()


def needed_bytes(size: Size, kept: Kept, data: bytes) -> int:
    """What `kept_pixels` takes: a strip, its rows resized, the result, and a progressive JPEG's coefficients."""
    pixels = size[0] * size[1]
    resized: int = 3 * (size[0] + kept.rows.stop) * kept.columns.stop
    return min(STRIP_BYTES, 3 * pixels) + resized + (6 * pixels if is_progressive(data) else 0)


def kept_pixels(data: bytes, size: Size, kept: Kept, interpolation: Interpolation) -> Pixels | None:
    """[h, w, 3], perhaps a view; None where the file is not all in order. Neither side may grow.

    `size`: (height, width), as of the file.
    """
    rows, columns = kept.source(size, interpolation)
    stop = last_row(rows.stop, size[0])
    with open_rows(data, size, rows, columns) as jpeg:
        if jpeg is None:
            return None
        resize = _resize_at_once if 3 * size[1] * stop <= STRIP_BYTES else _resize_in_strips
        resized_1chw = resize(jpeg, size, kept, _filter(interpolation), stop)
        if resized_1chw is None or not jpeg.finish():
            return None
    pixels: Pixels = resized_1chw.permute(0, 2, 3, 1)[0].numpy()
    return pixels[kept.rows, kept.columns]


def upright_pixels(data: bytes, size: Size, rows: slice, columns: slice, orientation: int) -> Pixels | None:
    """[H, W, 3], the picture turned upright, of which these rows and columns of the stored one alone mean something.

    None as `kept_pixels`. Turned a strip at a time: as a whole it goes through memory four times, and takes longer to
    be turned than to be decoded.
    """
    stop, height = last_row(rows.stop, size[0]), max(1, TURNED_BYTES // (3 * size[1]))
    upright = np.empty((*(reversed(size) if orientation in SIDEWAYS else size), 3), np.uint8)
    canvas = _strip(height, size[1])
    with open_rows(data, size, rows, columns) as jpeg:
        if jpeg is None:
            return None
        while (start := jpeg.next_row) < stop:
            strip = canvas[: min(height, stop - start)]
            if not jpeg.read(strip):
                return None
            place = upright_part(slice(start, jpeg.next_row), columns, size, orientation)
            upright[place] = turn_upright(np.ascontiguousarray(strip[:, columns]), orientation)
        return upright if jpeg.finish() else None


def _resize_at_once(jpeg: JpegRows, size: Size, kept: Kept, resize: Any, stop: int) -> Any:
    """[1, 3, rows and columns that are kept and those before]; None where the file is not in order.

    What stands in the canvas above the first row and beside the columns is an older picture's, and goes into nothing
    that is kept.
    """
    canvas = _strip(stop, size[1])
    if not jpeg.read(canvas[jpeg.next_row :]):
        return None
    scales = kept.size[0] / size[0], kept.size[1] / size[1]
    return resize.default(_view_1chw(canvas), (kept.rows.stop, kept.columns.stop), False, *scales)


def _resize_in_strips(jpeg: JpegRows, size: Size, kept: Kept, resize: Any, stop: int) -> Any:
    """The same. The rows above the first are nobody's here."""
    columns, scales = kept.columns.stop, (kept.size[0] / size[0], kept.size[1] / size[1])
    narrow_1chw = _view_1chw(np.empty((stop, columns, 3), np.uint8))
    canvas = _strip(max(1, STRIP_BYTES // (3 * size[1])), size[1])
    canvas_1chw = _view_1chw(canvas)
    while jpeg.next_row < stop:
        start, count = jpeg.next_row, min(len(canvas), stop - jpeg.next_row)
        if not jpeg.read(canvas[:count]):
            return None
        part_1chw = narrow_1chw[:, :, start : start + count]
        resize.out(canvas_1chw[:, :, :count], (count, columns), False, 1.0, scales[1], out=part_1chw)
    return resize.default(narrow_1chw, (kept.rows.stop, columns), False, scales[0], 1.0)


@cache
def _filter(interpolation: Interpolation) -> Any:
    """Told the scale beside the size, it makes the first rows and columns of a larger result and reads no others."""
    import torch  # takes 2 s, in which the driver would rather start Ray

    return getattr(torch.ops.aten, TORCH_FILTERS[interpolation])


def _view_1chw(pixels: Pixels) -> Any:
    """In this order of views torch sees channels_last, for which it has a vectorised kernel."""
    import torch

    return torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)


def _strip(height: int, width: int) -> Pixels:
    """This thread's own, whose pages are there from the image before: new ones take a twentieth of the time."""
    count = math.prod((height, width, 3))
    held: Pixels | None = getattr(_strips, "pixels", None)
    if held is None or held.size < count:
        held = _strips.pixels = np.empty(count, np.uint8)
    return held[:count].reshape(height, width, 3)
