"""Puts the things of scripts.demo.motifs into the places of scripts.demo.backdrops; used by both image sets.

What makes the pictures hard is here: pose, light, size, things half outside or half hidden, and a faint thing of
another class.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from scripts.demo.backdrops import draw_backdrop, fractal_noise
from scripts.demo.motifs import CLASSES, Motif
from scripts.demo.pen import Pen

CANVAS_SIDE = 500
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Pose:
    """Where a thing stands: its centre and the side of its square as fractions of the canvas."""

    x: float
    y: float
    side: float
    tilt_degrees: float
    opacity: float = 1.0


def canvas_size(width: int, height: int) -> tuple[int, int]:
    """Return the size a scene is drawn at: larger pictures are enlarged by the camera, which keeps drawing cheap."""
    scale = min(1.0, CANVAS_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def draw_scene(rng: np.random.Generator, size: tuple[int, int], class_index: int) -> tuple[Image.Image, Pose]:
    """Return an RGB scene of `size` with one thing of the class and whatever hinders its recognition, and its pose."""
    scene = draw_backdrop(rng, *size)
    if rng.random() < 0.25:
        other = (class_index + int(rng.integers(1, len(CLASSES)))) % len(CLASSES)
        place_thing(rng, scene, CLASSES[other][2], _distractor_pose(rng))
    side = float(np.clip(rng.normal(0.68, 0.17), 0.32, 1.0))
    reach = 0.5 - min(side, 0.9) * 0.42
    pose = Pose(
        x=0.5 + rng.uniform(-reach, reach),
        y=0.5 + rng.uniform(-reach, reach),
        side=side,
        tilt_degrees=rng.normal(0, 11),
        opacity=rng.uniform(0.45, 0.85) if rng.random() < 0.12 else 1.0,
    )
    place_thing(rng, scene, CLASSES[class_index][2], pose)
    if rng.random() < 0.28:
        _hide_part(rng, scene, pose)
    return scene, pose


def place_thing(rng: np.random.Generator, scene: Image.Image, motif: Motif, pose: Pose) -> Box:
    """Draw a thing into `scene` and return the box of its pixels, cut at the scene's edge."""
    width, height = scene.size
    thing = _draw_thing(rng, motif, round(pose.side * min(width, height)), pose.tilt_degrees)
    left, top = round(pose.x * width - thing.width / 2), round(pose.y * height - thing.height / 2)
    alpha = thing.getchannel("A")
    if pose.opacity < 1:
        alpha = alpha.point([round(level * pose.opacity) for level in range(256)])
    if rng.random() < 0.5:
        shadow = Image.new("RGB", thing.size, (12, 12, 16))
        soft = alpha.point([level // 2 for level in range(256)]).filter(ImageFilter.BoxBlur(thing.width * 0.02))
        scene.paste(shadow, (left + round(thing.width * 0.04), top + round(thing.width * 0.03)), soft)
    scene.paste(thing, (left, top), alpha)
    bounds = thing.getchannel("A").point([0] * 96 + [255] * 160).getbbox() or (0, 0, thing.width, thing.height)
    return (
        float(np.clip(left + bounds[0], 0, width)),
        float(np.clip(top + bounds[1], 0, height)),
        float(np.clip(left + bounds[2], 0, width)),
        float(np.clip(top + bounds[3], 0, height)),
    )


def _distractor_pose(rng: np.random.Generator) -> Pose:
    return Pose(
        x=rng.uniform(0.05, 0.95),
        y=rng.uniform(0.05, 0.95),
        side=rng.uniform(0.15, 0.32),
        tilt_degrees=rng.normal(0, 20),
        opacity=rng.uniform(0.2, 0.5),
    )


def _draw_thing(rng: np.random.Generator, motif: Motif, side: int, tilt_degrees: float) -> Image.Image:
    """Return the thing as RGBA, lit from one side, squeezed and tilted; `side` is that of its unturned square."""
    pen = Pen(int(np.clip(side * 1.5, 96, 420)))
    motif(pen, rng)
    drawn = pen.image
    lit_hwc = np.asarray(drawn).astype(np.float32)
    lit_hwc[..., :3] *= _light(rng, pen.side)[..., None]
    drawn = Image.fromarray(np.clip(lit_hwc, 0, 255).astype(np.uint8), "RGBA")
    if rng.random() < 0.5:
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    squeezed = max(8, round(side * rng.uniform(0.72, 1.0))), max(8, round(side * rng.uniform(0.8, 1.0)))
    drawn = drawn.resize(squeezed, Image.Resampling.BILINEAR)
    return drawn.rotate(tilt_degrees, Image.Resampling.BILINEAR, expand=True)


def _light(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    """Return brightness factors `[side, side]`: a slope across the thing, and its grain."""
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.6)
    across = np.linspace(-0.5, 0.5, side, dtype=np.float32)
    plane = across[None] * np.float32(np.cos(angle)) + across[:, None] * np.float32(np.sin(angle))
    brightness = np.float32(rng.uniform(0.7, 1.1))
    grain = fractal_noise(rng, (side, side), rng.uniform(3, 12)) - np.float32(0.5)
    lit: npt.NDArray[np.float32] = brightness + np.float32(slope) * plane + np.float32(rng.uniform(0, 0.6)) * grain
    return lit


def _hide_part(rng: np.random.Generator, scene: Image.Image, pose: Pose) -> None:
    """Cover some of the thing with out-of-focus bars or blobs taken from the scene's own colours."""
    width, height = scene.size
    side = pose.side * min(width, height)
    mask = Image.new("L", scene.size, 0)
    draw = ImageDraw.Draw(mask)
    for _ in range(rng.integers(1, 4)):
        x = pose.x * width + rng.uniform(-0.5, 0.5) * side
        y = pose.y * height + rng.uniform(-0.5, 0.5) * side
        if rng.random() < 0.5:
            reach, angle = side * 0.9, rng.uniform(0, np.pi)
            dx, dy = reach * np.cos(angle), reach * np.sin(angle)
            draw.line((x - dx, y - dy, x + dx, y + dy), fill=255, width=max(2, int(side * rng.uniform(0.04, 0.14))))
        else:
            rx, ry = side * rng.uniform(0.1, 0.26, 2)
            draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=255)
    mask = mask.filter(ImageFilter.BoxBlur(rng.uniform(0.5, 5)))
    scene.paste(draw_backdrop(rng, width, height), (0, 0), mask)
