"""The benchmark's images: different photograph-like JPEGs of 500×375, 60 to 110 KB each, drawn once from a seed.

Called by `scripts.bench.__main__`. A few dozen large scenes are drawn and every image is a crop of one of them,
perhaps mirrored, in light of its own; the spectrum of a scene falls off as a photograph's does, so the entropy coder
has real work. Knows nothing of who reads them.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 500, 375
SCENE_WIDTH, SCENE_HEIGHT = 1500, 1125
IMAGES_PER_SCENE = 300
DRAWING = 1  # raise it when the pictures change
MARKER = "complete.json"


@dataclass(frozen=True)
class ImageSet:
    """What determines the files; its folder is `root/<count>`."""

    count: int
    seed: int = 0
    quality: int = 90
    drawing: int = DRAWING

    def paths(self, folder: Path) -> list[Path]:
        return [folder / f"{number:06d}.jpg" for number in range(self.count)]


def complete(root: Path, images: ImageSet) -> Path:
    """The folder with every image in it, drawn with a process a core where they are not there yet."""
    folder = root / str(images.count)
    marker = root / f"{images.count}-{MARKER}"
    wanted = json.dumps(asdict(images))
    if marker.exists() and marker.read_text() == wanted:
        return folder
    marker.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    firsts = range(0, images.count, IMAGES_PER_SCENE)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(_write_scene, firsts, repeat(images), repeat(folder)):
            pass
    marker.write_text(wanted)
    return folder


def warm(paths: list[Path]) -> int:
    """Reads every file once, so that the first contender finds them in the page cache as the last does. Their bytes."""
    return sum(len(path.read_bytes()) for path in paths)


def _write_scene(first: int, images: ImageSet, folder: Path) -> None:
    import simplejpeg

    for path, pixels in zip(images.paths(folder)[first:], _crops(first, images.seed), strict=False):
        data = simplejpeg.encode_jpeg(pixels, quality=images.quality, colorspace="RGB", colorsubsampling="420")
        path.write_bytes(data)


def _crops(first: int, seed: int) -> Iterator[Pixels]:
    rng = np.random.default_rng([seed, first])
    canvas = draw_scene(rng)
    for _ in range(IMAGES_PER_SCENE):
        top, left = rng.integers(0, SCENE_HEIGHT - HEIGHT), rng.integers(0, SCENE_WIDTH - WIDTH)
        crop = canvas[top : top + HEIGHT, left : left + WIDTH]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        light = rng.uniform(0.8, 1.15, 3)
        curves = np.clip(np.arange(256)[:, None] * light, 0, 255).astype(np.uint8)
        yield np.stack([curves[crop[..., channel], channel] for channel in range(3)], axis=-1)


def draw_scene(rng: np.random.Generator, size: tuple[int, int] = (SCENE_WIDTH, SCENE_HEIGHT)) -> Pixels:
    """Things of flat colour, slightly out of focus, under uneven light, with the noise of a sensor."""
    from PIL import Image, ImageDraw, ImageFilter

    scene_width, scene_height = size
    near, far = rng.uniform(60, 190, (2, 3))
    canvas = Image.new("RGB", size, _colour(near))
    draw = ImageDraw.Draw(canvas)
    for _ in range(140):
        left, top = rng.uniform(-100, scene_width), rng.uniform(-100, scene_height)
        width, height = rng.exponential(110, 2) + 8
        shape: Any = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((left, top, left + width, top + height), fill=_colour(rng.uniform(20, 235) + rng.normal(0, 35, 3)))
    things = np.asarray(canvas.filter(ImageFilter.GaussianBlur(1.2)), np.float32)
    texture = 37 * _fractal(rng, size, rng.uniform(1.0, 1.25))
    haze = 0.12 * _fractal(rng, size, 2.0)[..., None] * (far - near).astype(np.float32)
    grain = rng.normal(0, 6, (scene_height, scene_width)).astype(np.float32)
    scene: Pixels = np.clip(things + haze + (texture + grain)[..., None], 0, 255).astype(np.uint8)
    return scene


def _fractal(rng: np.random.Generator, size: tuple[int, int], decay: float) -> Plane:
    """Noise of mean 0, std 1; amplitude falls as frequency to the power of -`decay`, a photograph's being 1 to 1.3."""
    width, height = size
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    amplitude = np.maximum(np.hypot(rows, columns), 1 / width) ** -decay
    phase = np.exp(2j * np.pi * rng.random(amplitude.shape))
    plane: Plane = np.fft.irfft2(amplitude * phase, (height, width)).astype(np.float32)
    plane -= plane.mean()
    plane /= plane.std()
    return plane


def _colour(rgb: npt.NDArray[np.float64]) -> tuple[int, int, int]:
    red, green, blue = np.clip(rgb, 0, 255).astype(int).tolist()
    return red, green, blue
