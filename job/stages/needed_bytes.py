"""What a picture takes while it is decoded, known from its header: bytes at the peak, by decoder.

Measured with `python -m scripts.bench.peak_memory decoders`, which prints both. Beside the encoded bytes there are the
decoder's own planes, canvases or coefficients, Pillow's copy, the array, and one turned copy.
"""

import itertools

from job.sources.magic import ImageFormat
from job.stages.formats.depth import DEEP_MODES

# Of the array, 3, with what a resize by Pillow takes beside it, 4: nothing takes less.
USED = 7
# The array, Pillow's copy of it, and the turned one.
TURNED = 11
# A decoder's planes, canvas or coefficients, and Pillow's pixels.
_DECODERS: dict[ImageFormat, int] = {
    "TIFF": 8, "HEIC": 12, "AVIF": 15, "JPEG XL": 16, "WebP": 22, "JPEG 2000": 30,
}  # fmt: skip
# Of deep pictures, what `formats.depth` makes of their values on the way: clipped, and scaled by mode.
_CLIPPED = 12
_SCALED = {"F": 20, "I": 16}
_SMALL_PIXELS = 1 << 16  # whose markers are not looked at


def jpeg_bytes(size: tuple[int, int], data: bytes, enough: int | None, turns: bool) -> int:
    """By libjpeg-turbo. A progressive one is held as coefficients; `enough` is as in `Reading`."""
    pixels = size[0] * size[1]
    # Scaled by eighths: at most one eighth more than is wanted.
    scale = min(1.0, enough / max(size) + 1 / 8) if enough else 1.0
    output = int(pixels * scale * scale)
    coefficients = 6 * pixels if pixels <= _SMALL_PIXELS or is_progressive(data) else 0
    return max(coefficients + 3 * output, (TURNED if turns else USED) * output)


def plugin_bytes(
    kind: ImageFormat, size: tuple[int, int], mode: str, data: bytes, may_turn: bool, scales_depth: bool
) -> int:
    """By a plugin of Pillow, into a picture of that mode."""
    each = _DECODERS.get(kind, USED)
    if kind == "JPEG" and is_progressive(data):
        each = USED + 8  # four channels, as CMYK
    if mode in DEEP_MODES:
        each = max(each, _SCALED.get(mode, USED + 1) if scales_depth else _CLIPPED)
    return size[0] * size[1] * max(each, TURNED if may_turn else 0)


def is_progressive(data: bytes) -> bool:
    """Whether a JPEG's frame is a progressive one, or none is found before its first scan."""
    at = 2
    for _ in itertools.repeat(None, 10_000):
        marker = data[at + 1 : at + 2]
        if data[at : at + 1] != b"\xff" or marker in (b"", b"\xda"):
            return True
        if marker in (b"\xc0", b"\xc1"):
            return False
        if marker == b"\xff":  # fills
            at += 1
            continue
        if marker == b"\xc2":
            return True
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True
