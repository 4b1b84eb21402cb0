"""Drawn pictures as pixel arrays for training, kept under build/ between runs; used by the training modules.

A picture is drawn, compressed and decoded as the demo's files are, so that the nets see JPEG's marks too. Drawing and
decoding would be most of an epoch on two cores, hence the cache.
"""

import functools
import io
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from scripts.demo.detection import FOUND, MOST_THINGS, draw_detection
from scripts.demo.images import draw_image
from scripts.demo.imageset import drawing_hash
from scripts.demo.motifs import CLASSES

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Drawn = tuple[npt.NDArray[Any], ...]

CACHE = Path("build/demo/arrays")
CROP_SIDE = 256
SQUASHED_SIDE = 128
DETECTION_SIDE = 320


@dataclass(frozen=True)
class ClassifiedArrays:
    """Pictures in two shapes, as one or the other net reads them, with their class indices `labels` `[N]`.

    `middles` is `[N, 256, 256, 3] uint8`, `squashed` `[N, 128, 128, 3] uint8`. The `spots` `[N, 4]` of each tell where
    the thing is: centre x, centre y, width, height as fractions of the square.
    """

    middles: Pixels
    middle_spots: Floats
    squashed: Pixels
    squashed_spots: Floats
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class DetectedArrays:
    """`squashed` is `[N, 320, 320, 3] uint8`; a row of `things` `[N, 5, 5]` is x0, y0, x1, y1, class, or all -1."""

    squashed: Pixels
    things: Floats


def classified_arrays(split: str, count: int) -> ClassifiedArrays:
    """Return pictures 0 to `count` - 1 of a split of the image set."""
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    drawn = _cached("images", split, count, functools.partial(_draw_classified, split))
    middles, middle_spots, squashed, squashed_spots = drawn
    return ClassifiedArrays(middles, middle_spots, squashed, squashed_spots, labels)


def detected_arrays(split: str, count: int) -> DetectedArrays:
    """Return pictures 0 to `count` - 1 of a split of the detection set; boxes are in the squashed picture's pixels."""
    squashed, things = _cached("detection", split, count, functools.partial(draw_detected, 0, split))
    return DetectedArrays(squashed, things)


def draw_detected(seed: int, split: str, index: int) -> tuple[Pixels, Floats]:
    """Draw one picture of the detection set as a row of DetectedArrays."""
    drawn = draw_detection(seed, split, index)
    picture = Image.open(io.BytesIO(drawn.jpeg)).convert("RGB")
    shrink = np.asarray([DETECTION_SIDE / picture.width, DETECTION_SIDE / picture.height] * 2)
    things = np.full((MOST_THINGS, 5), -1, np.float32)
    for row, (box, label) in enumerate(zip(drawn.boxes, drawn.labels, strict=True)):
        things[row] = [*(np.asarray(box) * shrink), FOUND.index(label)]
    return squash(picture, DETECTION_SIDE), things


def crop_middle(picture: Image.Image) -> Pixels:
    """Resize the short side to 256 and keep the middle, as the recipes of torchvision's weights begin."""
    scale = CROP_SIDE / min(picture.size)
    size = int(picture.width * scale), int(picture.height * scale)
    left, top = round((size[0] - CROP_SIDE) / 2), round((size[1] - CROP_SIDE) / 2)
    resized = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + CROP_SIDE, top + CROP_SIDE)))


def squash(picture: Image.Image, side: int) -> Pixels:
    """Resize the whole picture to a square, as the image processor of ViT does."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))


def _draw_classified(split: str, index: int) -> Drawn:
    jpeg, pose = draw_image(0, split, index)
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    centre = (np.asarray([pose.x, pose.y]) - 0.5) * np.asarray(picture.size) / min(picture.size) + 0.5
    reach = pose.side * min(picture.size) / np.asarray(picture.size)
    middle_spot = np.asarray([*centre, pose.side, pose.side], np.float32)
    squashed_spot = np.asarray([pose.x, pose.y, *reach], np.float32)
    return crop_middle(picture), middle_spot, squash(picture, SQUASHED_SIDE), squashed_spot


def _cached(kind: str, split: str, count: int, draw: Callable[[int], Drawn]) -> list[npt.NDArray[Any]]:
    """Return the stacked arrays of `draw(0)` to `draw(count - 1)`, mapped from files that the first call makes."""
    folder = CACHE / f"{kind}-{split}-{count}-{drawing_hash(kind)}"
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        unfinished.mkdir(parents=True, exist_ok=True)
        stacks = [
            np.lib.format.open_memmap(unfinished / f"{part}.npy", "w+", array.dtype, (count, *array.shape))
            for part, array in enumerate(draw(0))
        ]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for index, drawn in enumerate(pool.map(draw, range(count), chunksize=25)):
                for stack, array in zip(stacks, drawn, strict=True):
                    stack[index] = array
        unfinished.rename(folder)
    return [np.load(part, mmap_mode="r") for part in sorted(folder.glob("*.npy"))]
