"""HEIC and JPEG XL, by the packages of the extra `formats`, and what their headers say.

Both decoders turn a picture upright by themselves, as their formats want it; JPEG XL's decodes all of a file when it
opens it, so that its size is read here first.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from PIL.ImageFile import ImageFile

from job.errors import ImageError
from job.sources.magic import ImageFormat
from job.stages.formats.orientation import turn_upright

_PACKAGES = {"HEIC": "pillow-heif", "JPEG XL": "pillow-jxl-plugin"}
# Width by height, as SizeHeader of ISO/IEC 18181-1 counts them.
_MOST_BOXES = 1000  # before the codestream; empty ones could be millions
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@lru_cache
def extra_plugin(kind: ImageFormat) -> type[ImageFile]:
    """Pillow's plugin for it. Raises ImageError, `unsupported`, where the extra is not installed."""
    try:
        return _heif() if kind == "HEIC" else _jxl()
    except ImportError:
        raise ImageError(
            "unsupported",
            f"{kind} is read by {_PACKAGES[kind]}, which is not installed here: pip install 'tench[formats]'",
        ) from None


def _heif() -> type[ImageFile]:
    import pillow_heif
    from pillow_heif.as_plugin import HeifImageFile

    pillow_heif.options.DECODE_THREADS = 1  # the stage's own threads are the parallelism
    plugin: type[ImageFile] = HeifImageFile
    return plugin


def _jxl() -> type[ImageFile]:
    from pillow_jxl import JpegXLImagePlugin

    JpegXLImagePlugin.DECODE_THREADS = 0  # none but the caller's
    plugin: type[ImageFile] = JpegXLImagePlugin.JXLImageFile
    return plugin


def heic_orientation(image: Any) -> int:
    """What the decoder has turned, as EXIF counts it: HEIC writes quarter turns and mirrors, and its EXIF is void."""
    heif_file = image._heif_file
    probe = turned = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    for name, *values in heif_file[heif_file.primary_index]._c_image.transformations:
        if name == "irot":
            turned = np.rot90(turned, values[0] // 90)
        elif name == "imir":
            turned = turned[:, ::-1] if values[0] else turned[::-1]
    return next(value for value in range(1, 9) if np.array_equal(turn_upright(probe, value), turned))


def jxl_header(data: bytes) -> tuple[int, int, int]:
    """Width and height as stored, and orientation (1 to 8). Raises ImageError, `truncated`, where that is not there."""
    stream = _codestream(data)
    bits = _Bits(stream[2:40])
    if stream[:2] != b"\xff\x0a" or len(stream) < 12:
        raise ImageError("truncated", "JPEG XL: it ends before its size does")
    is_small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if is_small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1
    ratio = _RATIOS.get(bits.take(3))
    if ratio:
        width = height * ratio[0] // ratio[1]
    else:
        width = 8 * (bits.take(5) + 1) if is_small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1
    has_extra_fields = not bits.take(1) and bits.take(1)
    return width, height, bits.take(3) + 1 if has_extra_fields else 1


class _Bits:
    """Numbers of some bits each, the lowest bit of the first byte first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value


def _codestream(data: bytes) -> bytes:
    """The beginning of the codestream, bare or in a box of a container."""
    if data.startswith(b"\xff\x0a"):
        return data[:64]
    at = 0
    for _ in range(_MOST_BOXES):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        header = 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if name == b"jxlc":
            return data[at + header : at + header + 64]
        if name == b"jxlp":
            return data[at + header + 4 : at + header + 68]
        if length < header or at + length > len(data):  # 0: to the end of the file
            break
        at += length
    return b""
