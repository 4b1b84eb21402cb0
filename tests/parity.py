"""What the parity tests compare on: pictures of the demo set, and odd ones made of them."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from models import make_decoded
from PIL import Image

import scripts.demo
from job.spec.limits import Limits
from job.stages.images import decode
from scripts.demo.detection import draw_detection
from scripts.demo.images import draw_image

WEIGHTS = Path(scripts.demo.__file__).parent / "weights"
# The plain pipelines take one picture at a time; `make test-slow` and .ci/run compare a thousand.
PICTURES = int(os.environ.get("TENCH_PARITY_PICTURES", "60"))
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


def draw_pictures(count):
    """The first so many of the demo's validation set, encoded."""
    return _draw_in_processes(_draw_picture, count)


def draw_detection_pictures(count):
    """The same of the demo's set for detection."""
    return _draw_in_processes(_draw_detection_picture, count)


def _draw_in_processes(draw, count):
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(draw, range(count), chunksize=10))


def _draw_picture(index):
    return draw_image(0, "val", index)[0]


def _draw_detection_picture(index):
    return draw_detection(0, "val", index).jpeg


def make_odd_pictures(pictures, count):
    """The same pictures squeezed to odd sizes, now and then tiny or a strip, in every mode and format there is."""
    random = np.random.default_rng(0)
    return [_make_odd(random, pictures[number % len(pictures)], number) for number in range(count)]


def _make_odd(random, picture, number):
    width, height = (int(edge) for edge in random.integers(90, 420, 2))
    if number % 40 == 0:
        width, height = (int(edge) for edge in random.integers(1, 30, 2))
    elif number % 40 == 20:
        width = width // 12
    image = Image.open(BytesIO(picture)).resize((width, height), Image.Resampling.BICUBIC)
    mode, kind, options = ODDITIES[number % len(ODDITIES)]
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16))
    else:
        image = image.convert("RGBA").convert("LA") if mode == "LA" else image.convert(mode)
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def open_with_pillow(data):
    with Image.open(BytesIO(data)) as image:
        return image.convert("RGB")


def predict(stage, pictures, block=200):
    """Rows of a predict stage for encoded pictures, decoded and prepared as the job does it."""
    for start in range(0, len(pictures), block):
        images = [decode(data, LIMITS) for data in pictures[start : start + block]]
        yield from stage(make_decoded(stage._predictor.recipe, images)).to_pylist()
