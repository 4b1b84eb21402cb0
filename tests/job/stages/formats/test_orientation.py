"""Which way up: the eight values in every format that has them, exactly as Pillow's exif_transpose turns them."""

import random
import struct
import warnings
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin

from job.recipe import Exactly, Recipe
from job.spec.columns import ORIENTATION_APPLIED, ORIENTATION_KEPT
from job.spec.limits import Limits
from job.spec.spec import FilesSource
from job.stages.formats.orientation import jpeg_orientation, stored_part, turn_upright
from job.stages.images import Reading, read_image

LIMITS = Limits(1_000_000, 10_000_000)
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'


def exif(value):
    found = Image.Exif()
    found[0x010F] = "a camera"
    found[0x0112] = value
    return found


def save(kind, **options):
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


def png_with_late_exif(value):
    """eXIf after the pixels, which is where some programs put it."""
    data, chunk = save("PNG"), exif(value).tobytes()[6:]
    return data[:-12] + png_chunk(b"eXIf", chunk) + data[-12:]


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", PngImagePlugin._crc32(kind + body))


def png_with_xmp(value):
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", (XMP % value).decode())
    return save("PNG", pnginfo=text)


def tiff(value, **options):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x0112] = value
    return save("TIFF", tiffinfo=tags, **options)


def mpo(value):
    buffer = BytesIO()
    first, second = Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1].copy())
    first.save(buffer, "MPO", save_all=True, append_images=[second], exif=exif(value))
    return buffer.getvalue()


def cmyk(value):
    buffer = BytesIO()
    Image.fromarray(PIXELS).convert("CMYK").save(buffer, "JPEG", exif=exif(value))
    return buffer.getvalue()


FORMATS = {
    "JPEG": lambda value: save("JPEG", exif=exif(value)),
    "progressive JPEG": lambda value: save("JPEG", progressive=True, exif=exif(value)),
    "CMYK JPEG": cmyk,
    "JPEG with XMP": lambda value: save("JPEG", xmp=XMP % value),
    "JPEG with both": lambda value: save("JPEG", exif=exif(value), xmp=XMP % (9 - value)),
    "MPO": mpo,
    "PNG": lambda value: save("PNG", exif=exif(value)),
    "PNG, late": png_with_late_exif,
    "PNG with XMP": png_with_xmp,
    "WebP": lambda value: save("WEBP", exif=exif(value), lossless=True),
    "WebP with XMP": lambda value: save("WEBP", xmp=XMP % value),
    "TIFF": tiff,
    "TIFF, LZW": lambda value: tiff(value, compression="tiff_lzw"),
    "TIFF, JPEG": lambda value: tiff(value, compression="jpeg"),
    "AVIF": lambda value: save("AVIF", exif=exif(value)),
}
TURNED_BY_PILLOW = ("TIFF", "TIFF, LZW", "TIFF, JPEG")
EVERY = pytest.mark.parametrize("kind", FORMATS)
VALUES = range(1, 9)


def plain(data):
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def upright(data):
    """As transformers' `load_image` and `datasets.Image` make of it."""
    with Image.open(BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read(data, orientation):
    image = read_image(data, Reading(LIMITS, orientation))
    assert image.pixels.flags.c_contiguous
    return image


@EVERY
@pytest.mark.parametrize("value", VALUES)
def test_applied_an_image_is_as_exif_transpose_turns_it(kind, value):
    data = FORMATS[kind](value)
    image = read(data, "apply")
    assert np.array_equal(image.pixels, upright(data))
    assert image.pixels.shape[:2] == ((40, 24) if value > 4 else (24, 40))
    assert image.notes == ((ORIENTATION_APPLIED,) if value > 1 else ())


@EVERY
@pytest.mark.parametrize("value", VALUES)
def test_kept_an_image_is_as_it_is_stored(kind, value):
    image = read(FORMATS[kind](value), "keep")
    assert np.array_equal(image.pixels, plain(FORMATS[kind](1)))
    assert image.notes == ((ORIENTATION_KEPT,) if value > 1 else ())


@EVERY
@pytest.mark.parametrize("value", VALUES)
def test_without_a_wish_an_image_is_as_pillow_opens_it(kind, value):
    data = FORMATS[kind](value)
    image = read(data, "Pillow")
    assert np.array_equal(image.pixels, plain(data))
    expected = ORIENTATION_APPLIED if kind in TURNED_BY_PILLOW else ORIENTATION_KEPT
    assert image.notes == ((expected,) if value > 1 else ())


def test_auto_is_what_the_models_recipe_says_and_the_spec_overrides_it():
    recipe = Recipe(Exactly(8, 8), orientation="apply")
    wishes = {
        wish: Reading.of(FilesSource(uri="images", orientation=wish), recipe, LIMITS).orientation
        for wish in ("auto", "apply", "keep")
    }
    assert wishes == {"auto": "apply", "apply": "apply", "keep": "keep"}
    assert Reading.of(FilesSource(uri="images"), Recipe(), LIMITS).orientation == "Pillow"


def with_exif_bytes(body):
    """A JPEG whose first segment is this EXIF."""
    data = save("JPEG")
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 8) + b"Exif\0\0" + body + data[2:]


def ifd(*entries, order=">"):
    magic = b"MM\0*" if order == ">" else b"II*\0"
    packed = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    return magic + struct.pack(f"{order}IH", 8, len(entries)) + packed + b"\0" * 4


SHORT_6, LONG_6 = b"\0\6\0\0", b"\0\0\0\6"


@pytest.mark.parametrize(
    "body",
    [
        ifd((0x0112, 3, 1, SHORT_6)),
        ifd((0x0112, 3, 1, b"\6\0\0\0"), order="<"),
        ifd((0x0112, 4, 1, LONG_6)),
        ifd((0x0112, 1, 1, b"\6\0\0\0")),
        ifd((0x0112, 3, 2, b"\0\6\0\6")),
        ifd((0x0112, 3, 0, SHORT_6)),
        ifd((0x0112, 2, 1, b"6\0\0\0")),
        ifd((0x0112, 99, 1, SHORT_6)),
        ifd((0x0112, 3, 1, b"\0\0\0\0")),
        ifd((0x0112, 3, 1, b"\0\x09\0\0")),
        ifd((0x0112, 3, 1, b"\0\3\0\0"), (0x0112, 3, 1, SHORT_6)),
        ifd((0x9999, 3, 1, b"\0\1\0\0"), (0x0112, 3, 1, SHORT_6)),
        ifd((0x010F, 2, 99, b"\0\0\0\x20"), (0x0112, 3, 1, SHORT_6)),
        ifd((0x0112, 3, 1, SHORT_6), (0x0131, 2, 99, b"\0\0\0\x20")),
        ifd((0x0112, 3, 1, SHORT_6))[:-8],
        ifd((0x0100, 3, 1, SHORT_6), (0x0112, 3, 1, SHORT_6))[:-6],
        b"Exif\0\0" + ifd((0x0112, 3, 1, SHORT_6)),
        b"MM\0*\0\0\xff\xff",
        b"garbage, not TIFF at all",
        b"",
    ],
    ids=repr,
)
def test_odd_exif_is_read_as_pillow_reads_it(body):
    data = with_exif_bytes(body)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = upright(data)
        except Exception:  # then transformers' pipeline fails; the picture is whole, and is taken as it is stored
            expected = plain(data)
        assert np.array_equal(read(data, "apply").pixels, expected)


def test_exif_in_two_segments_is_joined_as_pillow_does():
    data, body = save("JPEG"), ifd((0x0112, 3, 1, SHORT_6))
    parts = [b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in (body[:12], body[12:])]
    data = data[:2] + b"".join(parts) + data[2:]
    assert upright(data).shape == (40, 24, 3)
    assert np.array_equal(read(data, "apply").pixels, upright(data))


@given(changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_headers_are_read_as_pillow_reads_them(changes):
    data = bytearray(FORMATS["JPEG with both"](6))
    for at, byte in changes:
        data[at] = byte
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(BytesIO(bytes(data))) as image:
                expected = image.getexif().get(0x0112, 1)
        except Exception:
            return
        assert jpeg_orientation(bytes(data)) == (expected if expected in VALUES else 1)


def test_noise_after_the_first_bytes_is_upright():
    for length in range(0, 60, 7):
        assert jpeg_orientation(b"\xff\xd8" + random.Random(length).randbytes(length)) == 1


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize(("rows", "columns"), [((2, 7), (1, 4)), ((0, 1), (8, 9)), ((0, 24), (0, 40))])
def test_a_part_of_the_upright_picture_is_found_in_the_stored_one(value, rows, columns):
    upright = turn_upright(PIXELS, value)
    rows, columns = slice(rows[0], min(rows[1], len(upright))), slice(columns[0], min(columns[1], upright.shape[1]))
    found = np.ascontiguousarray(PIXELS[stored_part(rows, columns, PIXELS.shape[:2], value)])
    assert np.array_equal(turn_upright(found, value), upright[rows, columns])
