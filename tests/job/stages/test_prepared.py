"""Decoding and the recipe in one: what all of the picture and the recipe give, and what is left to them."""

from io import BytesIO

import numpy as np
import pytest
from models import make_photo
from PIL import Image

from job.errors import ImageError
from job.recipe import Exactly, Recipe, ShortestEdge, Within
from job.spec.limits import Limits
from job.stages.images import Reading, read_image
from job.stages.jpeg import jpeg_rows
from job.stages.pixel_budget import NoRoomError, reserve_nothing
from job.stages.prepared import divisor_for, prepare_jpeg

LIMITS = Limits(10_000_000, 10_000_000)
RECIPE = Recipe(ShortestEdge(64), crop=(56, 56))
needs_library = pytest.mark.skipif(not jpeg_rows.is_available(), reason="job/stages/jpeg is not built")


def encode(size=(300, 400), kind="JPEG", mode="RGB", value=None, **options):
    buffer, exif = BytesIO(), Image.Exif()
    if value:
        exif[0x0112] = value
    Image.fromarray(make_photo(*size)).convert(mode).save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


def prepare(data, recipe=RECIPE, **reading):
    return prepare_jpeg(data, Reading(LIMITS, **reading), recipe, reserve_nothing)


@needs_library
@pytest.mark.parametrize(
    "recipe",
    [RECIPE, Recipe(Exactly(70, 80), "bicubic"), Recipe(Within(90, 90)), Recipe(Exactly(50, 60), crop=(80, 40))],
    ids=lambda recipe: type(recipe.resize).__name__,
)
@pytest.mark.parametrize(
    ("orientation", "value"), [("Pillow", None), ("keep", 6), *(("apply", n) for n in range(1, 9))]
)
@pytest.mark.parametrize("size", [(300, 400), (400, 300)])
def test_a_jpeg_is_what_the_recipe_makes_of_all_of_it(recipe, orientation, value, size):
    data = encode(size, value=value)
    whole = read_image(data, Reading(LIMITS, orientation))
    image = prepare(data, recipe, orientation=orientation)
    assert np.array_equal(image.pixels, recipe.apply(whole.pixels))
    assert image.pixels.flags.c_contiguous
    assert (image.notes, image.original) == (whole.notes, whole.pixels.shape[:2])


@pytest.mark.parametrize(
    ("data", "recipe", "reading"),
    [
        (encode(kind="PNG"), RECIPE, {}),
        (encode(mode="CMYK"), RECIPE, {}),
        (encode()[:-300], RECIPE, {}),
        (b"", RECIPE, {}),
        (b"\xff\xd8\xff", RECIPE, {}),
        (encode(), Recipe(crop=(56, 56)), {}),
        (encode(), Recipe(ShortestEdge(300), crop=(56, 56)), {}),
        (encode(), Recipe(ShortestEdge(290), crop=(56, 56)), {}),
        (encode(), Recipe(ShortestEdge(500), resampler="torch"), {}),
        (encode(), Recipe(ShortestEdge(64), "lanczos"), {}),
        (encode(), Recipe(ShortestEdge(64), resampler="torch without antialias"), {}),
        (encode(size=(900, 2)), Recipe(Within(20, 20)), {}),
    ],
    ids=str,
)
def test_what_is_odd_or_pillows_is_left_alone(data, recipe, reading):
    assert prepare(data, recipe, **reading) is None


def test_limits_are_those_of_the_whole_picture():
    data = encode()
    with pytest.raises(ImageError, match=r"^too-large: 400x300 is 120,000 pixels"):
        prepare_jpeg(data, Reading(Limits(119_999, 10_000_000)), RECIPE, reserve_nothing)
    assert prepare_jpeg(data, Reading(Limits(120_000, len(data) - 1)), RECIPE, reserve_nothing) is None


@needs_library
def test_memory_is_reserved_before_it_is_taken():
    asked = []

    def refuse(needed):
        asked.append(needed)
        raise NoRoomError

    with pytest.raises(NoRoomError):
        prepare_jpeg(encode(), Reading(LIMITS), RECIPE, refuse)
    assert 0 < asked[0] < 7 * 300 * 400


@pytest.mark.parametrize(
    ("size", "recipe", "divisor"),
    [
        ((512, 512), RECIPE, 8),
        ((511, 512), RECIPE, 8),  # rounded up, it is still 64 high
        ((504, 512), RECIPE, 4),
        ((3024, 4032), Recipe(ShortestEdge(256), crop=(224, 224)), 8),
        ((128, 500), RECIPE, 2),
        ((126, 500), RECIPE, 1),
        ((300, 400), Recipe(Exactly(30, 390)), 1),
        ((300, 400), Recipe(crop=(20, 20)), 1),
        ((900, 2), Recipe(Within(20, 20)), 1),
    ],
)
def test_pictures_are_never_scaled_below_what_the_recipe_resizes_to(size, recipe, divisor):
    assert divisor_for(size, recipe) == divisor


@pytest.mark.parametrize("value", [3, 6])
def test_a_picture_that_is_turned_is_divided_evenly(value):
    assert [divisor_for(size, RECIPE, value) for size in ((512, 512), (516, 516), (513, 512))] == [8, 4, 1]


@pytest.mark.parametrize(("orientation", "value"), [("Pillow", None), ("apply", 6), ("apply", 3), ("keep", 6)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}], ids=str)
@pytest.mark.parametrize("size", [(896, 1200), (900, 1212)])
def test_a_scaled_picture_is_nearly_the_whole_one(size, orientation, value, options):
    data = encode(size, value=value, **options)
    whole = read_image(data, Reading(LIMITS, orientation))
    image = prepare(data, orientation=orientation, scales=True)
    expected = RECIPE.apply(whole.pixels)
    assert image.pixels.shape == expected.shape
    assert 0 < np.abs(image.pixels.astype(int) - expected).mean() < 2
    assert image.original == whole.pixels.shape[:2]
    assert image.notes == ("scaled", *whole.notes)


def test_what_is_too_small_to_be_scaled_is_read_exactly():
    data = encode((100, 130))
    image = prepare(data, scales=True)
    if jpeg_rows.is_available():
        assert np.array_equal(image.pixels, RECIPE.apply(read_image(data, Reading(LIMITS)).pixels))
    else:
        assert image is None
