"""Whole files of kinds that nothing here reads: said so, with what they are, and never called truncated."""

import struct
import zlib
from io import BytesIO

import numpy as np
import odd_images
import pytest
from PIL import Image

from job.errors import ImageError
from job.spec.limits import Limits
from job.stages.images import decode

LIMITS = Limits(1_000_000, 10_000_000)


def save(kind, **options):
    buffer = BytesIO()
    Image.fromarray(odd_images.PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


def error_of(data):
    with pytest.raises(ImageError) as raised:
        decode(data, LIMITS)
    return raised.value.kind, str(raised.value).partition(": ")[2]


def crushed_png():
    """As Xcode writes them: a chunk of its own first, and the pixels without zlib's frame."""
    data = save("PNG")
    squeezed = zlib.compressobj(wbits=-15)
    rows = b"".join(b"\0" + row.tobytes() for row in odd_images.PIXELS)
    body = squeezed.compress(rows) + squeezed.flush()

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header_end = 8 + 25
    end = chunk(b"IEND", b"")
    return data[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + data[8:header_end] + chunk(b"IDAT", body) + end


def jpeg_of_2_components():
    data = bytearray(save("JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 9] = 2
    return bytes(data)


def hierarchical_jpeg():
    return save("JPEG").replace(b"\xff\xc0\0\x11", b"\xff\xc5\0\x11")


def bmp_of(compression=0, bits=24):
    return (
        b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 154, 0, 54, 40, 4, 4, 1, bits, compression, 100, 0, 0, 0, 0)
        + b"\0" * 100
    )


UNSUPPORTED = {
    "12-bit JPEG": (odd_images.JPEG_12_BIT, "12-bit JPEG; of 8 bits they are read"),
    "lossless JPEG": (odd_images.JPEG_LOSSLESS_16_BIT, "16-bit lossless JPEG; of 8 bits they are read"),
    "JPEG-LS": (odd_images.JPEG_LS, "JPEG-LS, 8 bits"),
    "2 components": (jpeg_of_2_components(), "JPEG of 2 components; of 1, 3 and 4 they are read"),
    "hierarchical": (hierarchical_jpeg(), "hierarchical JPEG"),
    "CgBI": (crushed_png(), "Apple's crushed PNG (CgBI), which only Apple's software reads"),
    "half float": (odd_images.TIFF_HALF_FLOAT, "TIFF of 1 x 16 bits float (grey), no compression"),
    "LERC": (odd_images.TIFF_LERC, "TIFF of 3 x 8 bits unsigned (RGB), LERC"),
    "WebP in TIFF": (odd_images.TIFF_WEBP, "TIFF of 3 x 8 bits unsigned (RGB), WebP"),
    "big-endian BigTIFF": (
        odd_images.TIFF_BIG_ENDIAN_BIGTIFF,
        "TIFF of 3 x 8 bits unsigned (RGB), no compression, big-endian BigTIFF",
    ),
    "5 components": (odd_images.JPEG_2000_5_COMPONENTS, "JPEG 2000 of 5 components; of 1 to 4 they are read"),
    "JPEG in BMP": (bmp_of(compression=4), "BMP compression (4)"),
    "2-bit BMP": (bmp_of(bits=2), "BMP pixel depth (2)"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_kind_that_nothing_reads_is_named(name):
    data, text = UNSUPPORTED[name]
    assert error_of(data) == ("unsupported", text)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_pillow_does_not_read_it_either(name):
    """So nothing is refused that a plain pipeline would read."""
    with pytest.raises(Exception, match=r"."), Image.open(BytesIO(UNSUPPORTED[name][0])) as image:
        image.convert("RGB")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "JPEG2000", "AVIF", "WEBP"])
def test_a_broken_file_of_a_kind_that_is_read_stays_truncated(kind):
    data = save(kind)
    assert error_of(data[: len(data) // 2])[0] == "truncated"


def test_a_lossless_jpeg_of_8_bits_is_read():
    pixels = decode(odd_images.JPEG_LOSSLESS_8_BIT, LIMITS)
    assert np.array_equal(pixels, np.repeat(odd_images.PIXELS[..., :1], 3, axis=2))
