"""The sandbox: decodes as the job does, and survives an image that kills a process."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from job.errors import ImageError
from job.spec.limits import Limits
from job.stages.images import Reading, decode, read_image
from job.stages.sandbox import Sandbox

LIMITS = Limits(max_pixels=1_000_000, max_bytes=10_000_000)
READING = Reading(LIMITS)


def make_png(height=20, width=30):
    buffer = BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def deadly(deadly_images):
    """Bytes that kill the process that decodes them."""
    return deadly_images


def test_it_decodes_as_the_job_does():
    with Sandbox(READING) as sandbox:
        for data in (make_png(), make_png(1, 1), make_png(300, 200)):
            assert np.array_equal(sandbox.decode(data).pixels, decode(data, LIMITS))


@pytest.mark.parametrize("orientation", ["apply", "keep", "Pillow"])
@pytest.mark.parametrize("scales_depth", [False, True])
def test_it_reads_as_it_is_wished(orientation, scales_depth):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, deep = BytesIO(), BytesIO()
    Image.new("RGB", (30, 20), "red").save(turned, "JPEG", exif=exif)
    Image.fromarray(np.full((20, 30), 30_000, np.uint16)).save(deep, "PNG")
    reading = Reading(LIMITS, orientation, scales_depth)
    with Sandbox(reading) as sandbox:
        for data in (turned.getvalue(), deep.getvalue()):
            found, expected = sandbox.decode(data), read_image(data, reading)
            assert np.array_equal(found.pixels, expected.pixels)
            assert found.notes == expected.notes


@pytest.mark.parametrize(
    "data", [b"", b"no image", make_png()[:200], make_png(2000, 1000)], ids=["empty", "text", "cut", "too large"]
)
def test_it_fails_as_the_job_does(data):
    with pytest.raises(ImageError) as expected:
        decode(data, LIMITS)
    with Sandbox(READING) as sandbox, pytest.raises(ImageError) as found:
        sandbox.decode(data)
    assert (found.value.kind, str(found.value)) == (expected.value.kind, str(expected.value))


def test_an_image_that_kills_the_process_is_an_error_and_the_next_one_is_decoded(deadly):
    with Sandbox(READING) as sandbox:
        with pytest.raises(ImageError, match=r"crashed: decoding it killed a process \(signal 11\)"):
            sandbox.decode(deadly)
        assert sandbox.decode(make_png()).pixels.shape == (20, 30, 3)
