"""Pillow's pixels as RGB in an array, in strips: whole, each step would hold the picture once more.

`np.array(image.convert("RGB"))` holds 14 bytes a pixel at its peak: Pillow keeps four, copies them for `convert`,
and gives its bytes as pieces that are joined and then copied. In strips it is 7, for 3 that come out.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

STRIP_PIXELS = 1 << 18


def to_rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    """`np.array(image.convert("RGB"))` of a loaded image: [H, W, 3], writable and contiguous."""
    width, height = image.size
    rows = max(1, STRIP_PIXELS // max(1, width))
    if rows >= height:
        return _strip(image)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        pixels[top:bottom] = _strip(image.crop((0, top, width, bottom)))
    return pixels


def _strip(image: Any) -> npt.NDArray[np.uint8]:
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
