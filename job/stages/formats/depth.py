"""Images of one deep channel (16 and 32 bits, floats) made into 8 bits: clipped, as Pillow does, or scaled.

Pillow's `convert("RGB")` cuts such values off at 255: nearly all of a 16-bit grey image is white then, and floats from
0 to 1 are black. Of colours of 16 bits it takes the high byte, which is right; `scale` treats grey alike.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from job.stages.formats import tiff_tags
from job.stages.formats.tiff_tags import first

Pixels = npt.NDArray[np.uint8]

DEEP_MODES = frozenset(("I;16", "I;16L", "I;16B", "I;16N", "I", "F"))
_FLOAT, _SIGNED = 3, 2


def is_clipped(image: Image.Image) -> bool:
    """Whether Pillow's 8 bits lose what a loaded image of a deep mode shows: values beyond 255 or below 0, or all of a
    picture between 0 and 1.
    """
    values = np.asarray(image)
    least, most = float(np.nanmin(values, initial=0)), float(np.nanmax(values, initial=0))
    return most > 255 or least < 0 or (image.mode == "F" and 0 < most <= 1)


def scale(image: Image.Image) -> Pixels:
    """[H, W, 3] of a loaded image of a deep mode.

    Whole numbers: the highest 8 of the bits that the file gives them; below 0 is black. Floats: 0 to 1, or 0 to 255
    where any is larger than 1. Where the file says that 0 is white, it is.
    """
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    grey = _of_floats(values) if image.mode == "F" else _of_integers(values, *_bits(image, tags))
    if first(tags, tiff_tags.PHOTOMETRIC, 1) == 0:
        grey = 255 - grey
    return np.repeat(grey[:, :, None], 3, axis=2)


def _bits(image: Image.Image, tags: Any) -> tuple[int, bool]:
    """Bits of a whole number, and whether it has a sign. Only TIFF has others than 16 without one."""
    is_signed = image.mode == "I" and first(tags, tiff_tags.SAMPLE_FORMAT, 1) == _SIGNED
    return first(tags, tiff_tags.BITS, 32 if image.mode == "I" and not tags else 16), is_signed


def _of_integers(values: npt.NDArray[Any], bits: int, is_signed: bool) -> Pixels:
    if is_signed:
        return _bytes(np.maximum(values, 0) >> (bits - 9))
    if values.dtype.itemsize == 4:
        values = values.view(np.uint32)  # Pillow keeps unsigned numbers of 32 bits as signed ones
    return _bytes(values >> (bits - 8))


def _of_floats(values: npt.NDArray[Any]) -> Pixels:
    values = np.nan_to_num(values, nan=0.0)
    if values.max(initial=0) <= 1:
        values = values * 255
    return _bytes(np.rint(np.clip(values, 0, 255)))


def _bytes(values: npt.NDArray[Any]) -> Pixels:
    return values.astype(np.uint8)
