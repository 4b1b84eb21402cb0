"""What the parity tests compare on: pictures of the demo set, and odd ones made of them."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

import scripts.demo
from job.images import Limits, decode
from models import make_decoded
from scripts.demo.images import draw_image

WEIGHTS = Path(scripts.demo.__file__).parent / "weights"
LIMITS = Limits(max_pixels=10_000_000, max_bytes=10_000_000)

# Mode, format and how it is saved.
ODDITIES = (
    ("RGB", "JPEG", {"quality": 60, "progressive": True}),
    ("RGB", "JPEG", {"quality": 95, "subsampling": 0}),
    ("L", "JPEG", {"quality": 80}),
    ("CMYK", "JPEG", {"quality": 85}),
    ("RGBA", "PNG", {}),
    ("LA", "PNG", {}),
    ("P", "PNG", {"transparency": 3}),
    ("I;16", "PNG", {}),
    ("1", "PNG", {}),
    ("RGB", "WEBP", {"quality": 70}),
    ("P", "GIF", {}),
    ("RGB", "BMP", {}),
    ("RGB", "TIFF", {"compression": "tiff_lzw"}),
)


def draw_pictures(count, draw=partial(draw_image, 0, "val")):
    """The first so many of the demo's validation set: encoded bytes, or what else `draw` gives first."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        return [picture[0] for picture in pool.map(draw, range(count), chunksize=20)]


def make_odd_pictures(pictures, count):
    """Cut to odd sizes, upright and wide, tiny and large, in every mode and format there is."""
    random = np.random.default_rng(0)
    return [_make_odd(random, pictures[number % len(pictures)], number) for number in range(count)]


def _make_odd(random, picture, number):
    image = Image.open(BytesIO(picture))
    width = int(random.integers(1, image.width + 1)) if number % 3 else image.width - int(random.integers(9))
    height = int(random.integers(1, image.height + 1)) if number % 4 else image.height - int(random.integers(9))
    left, top = int(random.integers(image.width - width + 1)), int(random.integers(image.height - height + 1))
    mode, kind, options = ODDITIES[number % len(ODDITIES)]
    cut = image.crop((left, top, left + width, top + height))
    if mode == "I;16":
        cut = Image.fromarray((np.asarray(cut.convert("L")).astype(np.uint16)))
    elif mode == "LA":
        cut = cut.convert("RGBA").convert("LA")
    else:
        cut = cut.convert(mode)
    buffer = BytesIO()
    cut.save(buffer, kind, **options)
    return buffer.getvalue()


def open_with_pillow(data):
    with Image.open(BytesIO(data)) as image:
        return image.convert("RGB")


def predict(stage, pictures, block=200):
    """Rows of a predict stage for encoded pictures, decoded and prepared as the job does it."""
    for start in range(0, len(pictures), block):
        images = [decode(data, LIMITS) for data in pictures[start : start + block]]
        yield from stage(make_decoded(stage._predictor.recipe, images)).to_pylist()
