"""Deep grey: clipped as Pillow does it and noted, or scaled so that it is right."""

import struct
import zlib
from io import BytesIO

import numpy as np
import odd_images
import pytest
from odd_images import DEEP, PIXELS
from PIL import Image, TiffImagePlugin

from job.spec.columns import DEPTH_CLIPPED
from job.spec.limits import Limits
from job.stages.images import Reading, read_image

LIMITS = Limits(1_000_000, 10_000_000)
GREY = DEEP[..., 0]


def save(values, kind="TIFF", **options):
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(values, photometric=1, sample_format=1, bits=None, order="<"):
    """An uncompressed grey TIFF by hand, of layouts that Pillow does not write."""
    data, (height, width) = values.astype(values.dtype.newbyteorder(order)).tobytes(), values.shape
    bits = bits or 8 * values.dtype.itemsize
    tags = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 150)]
    tags += [(277, 3, 1), (278, 4, height), (279, 4, len(data)), (339, 3, sample_format)]
    packed = b"".join(
        struct.pack(f"{order}HHI" + ("HH" if kind == 3 else "I"), tag, kind, 1, value, *([0] * (kind == 3)))
        for tag, kind, value in tags
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags)) + packed
    return head.ljust(150, b"\0") + data


def pack_12_bits(values):
    return np.packbits((values[..., None] >> np.arange(11, -1, -1) & 1).astype(np.uint8).reshape(len(values), -1), 1)


def tiff_of_12_bits():
    packed = pack_12_bits(GREY >> 4)
    data = tiff(packed, bits=12)
    return data.replace(struct.pack("<HHII", 256, 4, 1, packed.shape[1]), struct.pack("<HHII", 256, 4, 1, 12))


DEEP_FILES = {
    "16-bit PNG": save(GREY, "PNG"),
    "16-bit TIFF": save(GREY),
    "16-bit TIFF, big-endian": tiff(GREY, order=">"),
    "16-bit TIFF, LZW": save(GREY, compression="tiff_lzw"),
    "16-bit TIFF, 0 is white": tiff(65535 - GREY, photometric=0),
    "12-bit TIFF": tiff_of_12_bits(),
    "signed 16-bit TIFF": tiff((GREY >> 1).astype(np.int16), sample_format=2),
    "signed 16-bit TIFF, big-endian": tiff((GREY >> 1).astype(np.int16), sample_format=2, order=">"),
    "32-bit TIFF": tiff(GREY.astype(np.uint32) * 65537),
    "signed 32-bit TIFF": save((GREY.astype(np.int32) << 15) | 7),
    "float TIFF": save((GREY / 65535).astype(np.float32)),
    "float TIFF, big-endian": tiff((GREY / 65535).astype(np.float32), sample_format=3, order=">"),
    "float TIFF, 0 is white": tiff((1 - GREY / 65535).astype(np.float32), photometric=0, sample_format=3),
    "12-bit JPEG 2000": odd_images.JPEG_2000_12_BIT_GREY,
}


@pytest.mark.parametrize("name", DEEP_FILES)
def test_scaled_it_is_the_picture(name):
    image = read_image(DEEP_FILES[name], Reading(LIMITS, scales_depth=True))
    assert image.notes == ()
    assert np.array_equal(image.pixels, np.repeat(PIXELS[..., :1], 3, axis=2))
    assert image.pixels.flags.c_contiguous


@pytest.mark.parametrize("name", DEEP_FILES)
def test_clipped_it_is_pillows_and_noted(name):
    image = read_image(DEEP_FILES[name], Reading(LIMITS))
    assert image.notes == (DEPTH_CLIPPED,)
    with Image.open(BytesIO(DEEP_FILES[name])) as expected:
        assert np.array_equal(image.pixels, np.asarray(expected.convert("RGB")))
    assert len(np.unique(image.pixels)) <= 2  # what is noted is no picture any more


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 4), np.float32),
        (PIXELS[..., 0]).astype(np.float32),
        PIXELS[..., 0].astype(np.int32),
        PIXELS[..., 0].astype(np.uint16),
    ],
    ids=["black", "floats to 255", "32 bits to 255", "16 bits to 255"],
)
def test_what_pillow_reads_without_a_loss_is_not_noted(values):
    assert read_image(save(values), Reading(LIMITS)).notes == ()


def test_floats_beyond_1_are_taken_as_they_are():
    values = PIXELS[..., 0].astype(np.float32)
    values[0, 0] = np.nan
    image = read_image(save(values), Reading(LIMITS, scales_depth=True))
    assert np.array_equal(image.pixels[..., 0], np.where(np.isnan(values), 0, values))


def test_colours_of_16_bits_are_right_either_way():
    data = png_of_deep_colours()
    for scales_depth in (False, True):
        image = read_image(data, Reading(LIMITS, scales_depth=scales_depth))
        assert image.notes == ()
        assert np.array_equal(image.pixels, PIXELS)


def png_of_deep_colours():
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in DEEP)
    header = struct.pack(">IIBBBBB", 12, 9, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def test_a_turned_deep_image_is_turned_and_noted_twice():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x0112] = 6
    image = read_image(save(GREY, tiffinfo=tags), Reading(LIMITS, "apply"))
    assert image.notes == (DEPTH_CLIPPED, "orientation-applied")
    assert image.pixels.shape == (12, 9, 3)
