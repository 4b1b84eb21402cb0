"""JPEGs by parts: bit for bit the pixels of the whole picture, resized and cut, and None for what is not in order."""

import shutil
import subprocess
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from models import make_photo
from PIL import Image

import job.stages.jpeg
from job.recipe import Exactly, Recipe, ShortestEdge
from job.stages.jpeg import jpeg_rows, kept_pixels

SOURCE = Path(job.stages.jpeg.__file__).with_name("jpeg_rows.c")
SUBSAMPLINGS = ("444", "422", "420", "440", "411", "Gray")
sides = st.integers(64, 300)


@pytest.fixture(autouse=True, scope="module")
def library(tmp_path_factory):
    """Built as `pip` does, where it is not there."""
    if not jpeg_rows.is_available():
        built = tmp_path_factory.mktemp("library") / "_jpeg_rows.so"
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(built), str(SOURCE), "-ldl"]
        if not shutil.which("cc") or not Path("/usr/include/jpeglib.h").exists():
            pytest.skip("needs a C compiler and libjpeg's header")
        subprocess.run(command, check=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jpeg_rows, "_built", lambda: [built])
            jpeg_rows._library.cache_clear()
            yield
        jpeg_rows._library.cache_clear()
    else:
        yield


def parts(data, recipe, size):
    found = kept_pixels.kept_pixels(data, size, recipe.kept(size), recipe.interpolation)
    return None if found is None else recipe.centred(found)


def whole(data, recipe):
    return recipe.apply(simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False))


def encode(pixels, **options):
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@given(
    height=sides,
    width=sides,
    subsampling=st.sampled_from(SUBSAMPLINGS),
    edge=st.integers(8, 64),
    share=st.floats(0.1, 1),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    strip=st.sampled_from([1, 10_000, 1 << 20]),
)
def test_parts_are_those_of_the_whole_picture(height, width, subsampling, edge, share, interpolation, strip):
    data = simplejpeg.encode_jpeg(make_photo(height, width, seed=height), 85, "RGB", subsampling)
    crop = max(1, int(edge * share))
    recipe = Recipe(ShortestEdge(edge), interpolation, "torch", crop=(crop, max(1, crop - 3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_pixels, "STRIP_BYTES", strip)
        assert np.array_equal(parts(data, recipe, (height, width)), whole(data, recipe))


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"progressive": True, "subsampling": 0},
        {"restart_marker_rows": 1},
        {"optimize": True},
        {"keep_rgb": True},
        {"quality": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(301, 400), (400, 301)])
def test_parts_of_every_kind_of_jpeg_are_those_of_the_whole_picture(options, size):
    data = encode(make_photo(*size), **options)
    for recipe in (Recipe(ShortestEdge(64), crop=(56, 56)), Recipe(Exactly(50, 60))):
        assert np.array_equal(parts(data, recipe, size), whole(data, recipe))


RECIPE, SIZE = Recipe(ShortestEdge(64), crop=(40, 40)), (240, 320)
DATA = {
    "baseline": encode(make_photo(*SIZE)),
    "progressive": encode(make_photo(*SIZE), progressive=True),
    "restarts": encode(make_photo(*SIZE), restart_marker_rows=1),
}


def strictly(data):
    """What simplejpeg says of it, which judges each part of a file."""
    try:
        return RECIPE.apply(simplejpeg.decode_jpeg(data, "RGB", strict=True))
    except ValueError:
        return None


@pytest.mark.parametrize("name", sorted(DATA))
def test_a_file_cut_at_each_of_its_last_bytes_is_not_in_order(name):
    """The crop needs none of them."""
    for length in range(len(DATA[name]) - 60, len(DATA[name])):
        assert parts(DATA[name][:length], RECIPE, SIZE) is None


@given(name=st.sampled_from(sorted(DATA)), part=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_not_in_order(name, part):
    assert parts(DATA[name][: int(part * len(DATA[name]))], RECIPE, SIZE) is None


@given(
    name=st.sampled_from(sorted(DATA)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_file_gives_what_the_whole_of_it_gives(name, changes):
    data = bytearray(DATA[name])
    for part, byte in changes:
        data[int(part * len(data))] = byte
    found, expected = parts(bytes(data), RECIPE, SIZE), strictly(bytes(data))
    if found is not None:
        assert expected is not None
        assert np.array_equal(found, expected)


def test_a_size_that_is_not_the_files_is_odd():
    assert parts(DATA["baseline"], RECIPE, (240, 321)) is None
    assert parts(DATA["baseline"], RECIPE, (241, 320)) is None


def test_many_threads_take_parts_at_once():
    expected, wrong = {name: strictly(data) for name, data in DATA.items()}, []

    def work():
        wrong.extend(
            name for name, data in DATA.items() if not np.array_equal(parts(data, RECIPE, SIZE), expected[name])
        )

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
