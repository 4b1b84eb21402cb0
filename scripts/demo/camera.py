"""The camera of the demo images: what a lens, a sensor and a JPEG file do to a scene; used by both image sets."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

# One tile of grain for every picture, taken at a random offset: drawing fresh noise would cost more than all the rest.
_GRAIN = np.random.default_rng(0).normal(0, 1, (2048, 2048)).astype(np.float32)


def draw_size(rng: np.random.Generator, largest: int) -> tuple[int, int]:
    """Draw a width and a height in pixels, 200 to `largest`; most are of the size usual in ImageNet."""
    kind = rng.random()
    if kind < 0.72:
        long_side, short_side = 500, int(rng.choice([333, 375, 375, 375, 400, 281]))
    else:
        low, high = (200, 480) if kind < 0.9 else (600, largest)
        long_side = int(rng.integers(low, high + 1))
        short_side = max(200, int(long_side / rng.uniform(1.0, 1.9)))
    return (long_side, short_side) if rng.random() < 0.72 else (short_side, long_side)


def photograph(rng: np.random.Generator, scene: Image.Image, size: tuple[int, int]) -> bytes:
    """Take a JPEG of `size` (width, height) of `scene`: out of focus, badly lit, grainy and compressed at times."""
    if rng.random() < 0.3:
        scene = scene.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.2)))
    if rng.random() < 0.06:
        scene = scene.filter(ImageFilter.BoxBlur((rng.uniform(1, 6), 0.0)))  # the hand shook
    scene = scene.point(_exposure(rng))
    if scene.size != size:
        scene = scene.resize(size, Image.Resampling.BICUBIC)
    pixels_hwc = _add_grain(rng, np.asarray(scene))
    picture = Image.fromarray(pixels_hwc)
    return _to_jpeg(rng, picture.convert("L") if rng.random() < 0.04 else picture)


def _exposure(rng: np.random.Generator) -> list[int]:
    """Return the lookup tables of red, green and blue for one gain, gamma, haze and colour cast."""
    levels = np.linspace(0, 1, 256) ** rng.uniform(0.7, 1.5)
    haze = rng.uniform(0, 0.45) if rng.random() < 0.2 else 0.0
    levels = levels * (1 - haze) + haze * rng.uniform(0.3, 0.8)
    gains = rng.uniform(0.7, 1.15) * rng.uniform(0.85, 1.12, 3)
    table = np.clip(levels[None] * gains[:, None] * 255, 0, 255).astype(int)
    return [int(level) for level in table.ravel()]


def _add_grain(rng: np.random.Generator, pixels_hwc: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width, _ = pixels_hwc.shape
    strength = np.float32(rng.gamma(1.5, 3.2))
    top, left = rng.integers(0, 2048 - height), rng.integers(0, 2048 - width)
    grain_hw1 = _GRAIN[top : top + height, left : left + width, None] * strength
    noisy_hwc: npt.NDArray[np.uint8] = np.clip(pixels_hwc + grain_hw1, 0, 255).astype(np.uint8)
    return noisy_hwc


def _to_jpeg(rng: np.random.Generator, picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(
        file,
        "JPEG",
        quality=int(rng.integers(60, 96)),
        subsampling=int(rng.choice([0, 1, 2, 2, 2])),
        progressive=bool(rng.random() < 0.1),
    )
    return file.getvalue()
