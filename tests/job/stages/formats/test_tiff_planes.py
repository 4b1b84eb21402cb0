"""Colours in planes of their own: of 16 bits and uncompressed, which Pillow 13 reads wrong, and all the others."""

import struct
from io import BytesIO

import numpy as np
import pytest
from odd_images import DEEP, PIXELS
from PIL import Image

from job.spec.limits import Limits
from job.stages.images import decode

LIMITS = Limits(1_000_000, 10_000_000)
CMYK = np.dstack([255 - PIXELS, np.zeros_like(PIXELS[..., :1])])


def planar_tiff(values, order="<", strip_rows=None, photometric=2, extra=None):
    """[H, W, C] as TIFF writes it with PlanarConfiguration 2."""
    height, width, count = values.shape
    strip_rows = strip_rows or height
    kind = np.dtype(values.dtype).newbyteorder(order)
    strips = [
        values[start : start + strip_rows, :, plane].astype(kind).tobytes()
        for plane in range(count)
        for start in range(0, height, strip_rows)
    ]
    bits = 8 * values.dtype.itemsize
    tags = {256: [width], 257: [height], 258: [bits] * count, 259: [1], 262: [photometric], 273: [], 277: [count]}
    tags |= {278: [strip_rows], 279: [len(strip) for strip in strips], 284: [2]} | ({338: [extra]} if extra else {})
    at = 8 + 2 + 12 * len(tags) + 4
    arrays = {tag: len(numbers) for tag, numbers in tags.items() if len(numbers) > 1}
    arrays[273] = len(strips)
    offsets = {}
    for tag, number in sorted(arrays.items()):
        if number > 1:
            offsets[tag], at = at, at + 4 * number
    for strip in strips:
        tags[273].append(at)
        at += len(strip)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    for tag, numbers in sorted(tags.items()):
        head += struct.pack(f"{order}HHII", tag, 4, len(numbers), offsets.get(tag, numbers[0]))
    head += b"\0" * 4
    for tag in sorted(offsets):
        head += struct.pack(f"{order}{len(tags[tag])}I", *tags[tag])
    return head + b"".join(strips)


@pytest.mark.parametrize("strip_rows", [None, 4, 1])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("values", [PIXELS, DEEP], ids=["8 bits", "16 bits"])
def test_rgb_in_planes_is_read_right(values, order, strip_rows):
    assert np.array_equal(decode(planar_tiff(values, order, strip_rows), LIMITS), PIXELS)


@pytest.mark.parametrize("values", [PIXELS, DEEP], ids=["8 bits", "16 bits"])
def test_an_alpha_plane_is_left_out(values):
    opaque = np.full_like(values[..., :1], np.iinfo(values.dtype).max)
    data = planar_tiff(np.dstack([values, opaque]), extra=2)
    assert np.array_equal(decode(data, LIMITS), PIXELS)


def test_cmyk_in_planes_of_16_bits_is_read_as_of_8():
    deep = planar_tiff(CMYK.astype(np.uint16) * 257, photometric=5)
    with Image.open(BytesIO(planar_tiff(CMYK, photometric=5))) as expected:
        assert np.array_equal(decode(deep, LIMITS), np.asarray(expected.convert("RGB")))
