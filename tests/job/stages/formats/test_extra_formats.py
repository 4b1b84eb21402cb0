"""HEIC and JPEG XL: read where the extra is installed, with limits and orientation; named with the extra where not."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from job.errors import ImageError
from job.spec.limits import Limits
from job.stages.formats.extra_formats import jxl_header
from job.stages.formats.orientation import turn_upright
from job.stages.images import Reading, decode, read_image
from job.stages.sandbox import Sandbox

LIMITS = Limits(1_000_000, 10_000_000)
SMOOTH = np.asarray(Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)).resize((96, 64), 3))
VALUES = range(1, 9)

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40


def heic(value=1):
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra `formats`")
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = value
    buffer = BytesIO()
    Image.fromarray(SMOOTH).save(buffer, "HEIF", exif=exif.tobytes(), quality=95)
    return buffer.getvalue()


def jxl(pixels=SMOOTH, **options):
    pytest.importorskip("pillow_jxl", reason="needs the extra `formats`")
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JXL", lossless=True, **options)
    return buffer.getvalue()


def jxl_of_jpeg(folder, value):
    """A JPEG, and what `cjxl` makes of it: the same coefficients, and EXIF's orientation in its own header."""
    pytest.importorskip("pillow_jxl", reason="needs the extra `formats`")
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(SMOOTH).save(folder / "a.jpg", exif=exif, quality=95)
    buffer = BytesIO()
    with Image.open(folder / "a.jpg") as image:
        image.save(buffer, "JXL", lossless_jpeg=True)
    return (folder / "a.jpg").read_bytes(), buffer.getvalue()


def without_its_jpeg(data):
    """Without the box that a JPEG is put together again with: decoders give the picture then, turned."""
    boxes, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big") or len(data) - at
        boxes.append(data[at : at + length])
        at += length
    assert any(box[4:8] == b"jbrd" for box in boxes)
    return b"".join(box for box in boxes if box[4:8] != b"jbrd")


def test_an_image_is_the_one_that_was_saved():
    difference = np.abs(decode(heic(), LIMITS).astype(int) - SMOOTH)
    assert difference.mean() < 4


def test_the_sandbox_reads_them_alike_and_holds_the_limits():
    images = [heic(6), jxl(use_container=True), jxl()]
    for reading in (Reading(LIMITS, "apply"), Reading(LIMITS, "keep")):
        with Sandbox(reading) as sandbox:
            for data in images:
                found, expected = sandbox.decode(data), read_image(data, reading)
                assert np.array_equal(found.pixels, expected.pixels)
                assert found.notes == expected.notes
    with Sandbox(Reading(Limits(1_000, 10_000_000))) as sandbox:
        for data in images:
            with pytest.raises(ImageError, match=r"^too-large"):
                sandbox.decode(data)


def test_lossless_jpeg_xl_is_exact():
    assert np.array_equal(decode(jxl(), LIMITS), SMOOTH)
    assert np.array_equal(decode(jxl(use_container=True), LIMITS), SMOOTH)


@pytest.mark.parametrize("value", VALUES)
def test_a_jpeg_in_a_jpeg_xl_is_that_jpeg(tmp_path, value):
    jpeg, data = jxl_of_jpeg(tmp_path, value)
    for wish in ("apply", "Pillow", "keep"):
        found, expected = (read_image(each, Reading(LIMITS, wish)) for each in (data, jpeg))
        assert np.array_equal(found.pixels, expected.pixels)
        assert found.notes == expected.notes


@pytest.mark.parametrize("value", VALUES)
def test_a_heic_is_upright_unless_it_is_to_be_kept(value):
    """Its own turns count; of EXIF its standard says that it is void."""
    data, stored = heic(value), decode(heic(1), LIMITS).astype(int)
    for wish in ("apply", "Pillow", "keep"):
        image = read_image(data, Reading(LIMITS, wish))
        expected = stored if wish == "keep" else turn_upright(stored.astype(np.uint8), value)
        assert image.pixels.shape == expected.shape
        assert np.abs(image.pixels - expected.astype(int)).mean() < 2
        note = "orientation-kept" if wish == "keep" else "orientation-applied"
        assert image.notes == ((note,) if value > 1 else ())


@pytest.mark.parametrize("value", VALUES)
def test_a_jpeg_xl_is_upright_unless_it_is_to_be_kept(tmp_path, value):
    data = without_its_jpeg(jxl_of_jpeg(tmp_path, value)[1])
    assert jxl_header(data) == (96, 64, value)
    for wish in ("apply", "Pillow", "keep"):
        image = read_image(data, Reading(LIMITS, wish))
        expected = SMOOTH if wish == "keep" else turn_upright(SMOOTH, value)
        assert image.pixels.shape == expected.shape
        assert np.abs(image.pixels - expected.astype(int)).mean() < 4
        note = "orientation-kept" if wish == "keep" else "orientation-applied"
        assert image.notes == ((note,) if value > 1 else ())


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (8, 16), (256, 256), (257, 300), (300, 400), (513, 9), (9, 9000)])
def test_the_size_of_a_jpeg_xl_is_read_before_it_is_decoded(size):
    height, width = size
    pixels = np.zeros((height, width, 3), np.uint8)
    for data in (jxl(pixels), jxl(pixels, use_container=True)):
        assert jxl_header(data)[:2] == (width, height)
        assert decode(data, Limits(height * width, 10_000_000)).shape == (height, width, 3)
        with pytest.raises(ImageError, match=f"too-large: {width}x{height}"):
            decode(data, Limits(height * width - 1, 10_000_000))


def test_the_limit_of_pixels_holds_for_heic():
    with pytest.raises(ImageError, match="too-large: 96x64"):
        decode(heic(), Limits(96 * 64 - 1, 10_000_000))


@pytest.mark.parametrize("make", [heic, jxl])
def test_half_of_one_is_truncated(make):
    data = make()
    for length in (13, 20, len(data) // 2):
        with pytest.raises(ImageError, match=r"truncated|not-an-image"):
            decode(data[:length], LIMITS)


@pytest.mark.parametrize(
    ("name", "data", "package"),
    [
        ("HEIC", HEIC, "pillow-heif"),
        ("JPEG XL", b"\xff\x0a\xff\x07" + b"\0" * 40, "pillow-jxl-plugin"),
    ],
)
def test_without_the_extra_the_message_names_it(name, data, package):
    code = (
        "import sys\n"
        "sys.modules['pillow_heif'] = sys.modules['pillow_jxl'] = None\n"
        "from job.errors import ImageError\nfrom job.spec.limits import Limits\nfrom job.stages.images import decode\n"
        f"try: decode({data!r}, Limits(10, 1000))\n"
        "except ImageError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    wanted = f"unsupported: {name} is read by {package}, which is not installed here: pip install 'tench[formats]'"
    assert said == wanted
