"""Draws the demo's detection set: `OUT/SPLIT/SPLIT_00000042.jpg`, and every box in `OUT/SPLIT-boxes.json`.

    python -m scripts.demo.detection OUT --count 500 --split val

The boxes' file maps a file's name to `{"boxes": [[x0, y0, x1, y1], …], "labels": [name, …]}`, in the picture's pixels.
As in scripts.demo.images, a picture depends on the seed, its split and its index alone.
"""

import argparse
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.demo import imageset
from scripts.demo.backdrops import draw_backdrop
from scripts.demo.camera import draw_size, photograph
from scripts.demo.motifs import CLASSES
from scripts.demo.scenes import Box, Pose, canvas_size, place_thing

LARGEST = 1000
MOST_THINGS = 5
# The classes to find; things of the other six stand about too, and finding one of those is a mistake.
FOUND = ["English springer", "garbage truck", "golf ball", "parachute"]


@dataclass(frozen=True)
class Detection:
    """A picture and what is in it; the boxes are in the picture's pixels."""

    jpeg: bytes
    size: tuple[int, int]
    boxes: list[Box]
    labels: list[str]


def main() -> None:
    arguments = imageset.arguments(argparse.ArgumentParser(description="Draw photographs of things with known boxes."))
    draw_detection_set(arguments.out, arguments.split, arguments.count, arguments.seed)


def draw_detection_set(out: Path, split: str, count: int, seed: int = 0) -> None:
    """Make sure that `out/split` holds pictures 0 to `count` - 1, and the file of boxes beside it."""
    (out / split).mkdir(parents=True, exist_ok=True)
    recipe = imageset.Recipe("detection", split, count, seed)
    imageset.complete(out, recipe, _write_detection, functools.partial(_write_boxes, out, recipe))


def draw_detection(seed: int, split: str, index: int) -> Detection:
    """Draw one picture with one to five things of the classes to find."""
    rng = imageset.picture_rng(seed, split, index)
    size = draw_size(rng, LARGEST)
    scene = draw_backdrop(rng, *canvas_size(*size))
    names = [FOUND[index] for index in rng.integers(len(FOUND), size=rng.integers(1, MOST_THINGS + 1))]
    others = [name for _, name, _ in CLASSES if name not in FOUND]
    strangers = [others[index] for index in rng.integers(len(others), size=rng.choice([0, 0, 1, 2]))]
    drawn = _place_apart(rng, scene, names + strangers)
    found = [(name, box) for name, box in drawn if name in FOUND]
    stretch = np.asarray([size[0] / scene.width, size[1] / scene.height] * 2)
    boxes = [tuple(np.round(np.asarray(box) * stretch, 1).tolist()) for _, box in found]
    return Detection(photograph(rng, scene, size), size, boxes, [name for name, _ in found])


def picture_name(split: str, index: int) -> str:
    return f"{split}_{index:08}.jpg"


def _place_apart(rng: np.random.Generator, scene: Image.Image, names: list[str]) -> list[tuple[str, Box]]:
    """Place the things where they hide little of each other; one for which no room is left is not drawn."""
    motifs = {name: motif for _, name, motif in CLASSES}
    drawn: list[tuple[str, Box]] = []
    largest = 0.75 if len(names) < 3 else 0.5
    for name in names:
        for _ in range(12):
            side = rng.uniform(0.2, largest)
            reach = max(0.0, 0.5 - side * 0.4)
            pose = Pose(0.5 + rng.uniform(-reach, reach), 0.5 + rng.uniform(-reach, reach), side, rng.normal(0, 10))
            if not any(_overlap(_square(scene, pose), box) for _, box in drawn):
                drawn.append((name, place_thing(rng, scene, motifs[name], pose)))
                break
    return drawn


def _square(scene: Image.Image, pose: Pose) -> Box:
    half = pose.side * min(scene.size) / 2
    x, y = pose.x * scene.width, pose.y * scene.height
    return x - half, y - half, x + half, y + half


def _overlap(square: Box, box: Box) -> bool:
    """Tell whether a tenth of `box` would be hidden."""
    width = min(square[2], box[2]) - max(square[0], box[0])
    height = min(square[3], box[3]) - max(square[1], box[1])
    return min(width, height) > 0 and width * height > 0.1 * (box[2] - box[0]) * (box[3] - box[1])


def _write_detection(out: Path, recipe: imageset.Recipe, index: int) -> dict[str, object]:
    drawn = draw_detection(recipe.seed, recipe.split, index)
    (out / recipe.split / picture_name(recipe.split, index)).write_bytes(drawn.jpeg)
    return {"boxes": drawn.boxes, "labels": drawn.labels}


def _write_boxes(out: Path, recipe: imageset.Recipe, truths: list[dict[str, object]]) -> None:
    named = {picture_name(recipe.split, index): truth for index, truth in enumerate(truths)}
    (out / f"{recipe.split}-boxes.json").write_text(json.dumps(named, indent=1) + "\n")


if __name__ == "__main__":
    main()
