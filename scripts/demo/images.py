"""Draws the demo's image set in the layout of Imagenette: `OUT/SPLIT/WNID/SPLIT_00000042.JPEG` and `OUT/labels.json`.

    python -m scripts.demo.images OUT --count 2000 --split val

Every picture depends on the seed, its split and its index alone, so any part of a set can be drawn anywhere. Nothing is
done for a set that is there already. It knows nothing of models.
"""

import argparse
import json
from pathlib import Path

from scripts.demo import imageset
from scripts.demo.camera import draw_size, photograph
from scripts.demo.motifs import CLASSES
from scripts.demo.scenes import Pose, canvas_size, draw_scene

LARGEST = 1600


def main() -> None:
    arguments = imageset.arguments(argparse.ArgumentParser(description="Draw the demo's ten classes of photographs."))
    draw_image_set(arguments.out, arguments.split, arguments.count, arguments.seed)


def draw_image_set(out: Path, split: str, count: int, seed: int = 0) -> None:
    """Make sure that `out/split` holds pictures 0 to `count` - 1; the classes take turns."""
    for wordnet_id, _, _ in CLASSES:
        (out / split / wordnet_id).mkdir(parents=True, exist_ok=True)
    labels = {wordnet_id: name for wordnet_id, name, _ in CLASSES}
    (out / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")
    imageset.complete(out, imageset.Recipe("images", split, count, seed), _write_image)


def draw_image(seed: int, split: str, index: int) -> tuple[bytes, Pose]:
    """Return the JPEG of one picture, and where its thing is; its class is `index` modulo ten."""
    rng = imageset.picture_rng(seed, split, index)
    size = draw_size(rng, LARGEST)
    scene, pose = draw_scene(rng, canvas_size(*size), index % len(CLASSES))
    return photograph(rng, scene, size), pose


def image_path(split: str, index: int) -> Path:
    """Return where picture `index` is, relative to the set's folder."""
    return Path(split, CLASSES[index % len(CLASSES)][0], f"{split}_{index:08}.JPEG")


def _write_image(out: Path, recipe: imageset.Recipe, index: int) -> None:
    jpeg, _ = draw_image(recipe.seed, recipe.split, index)
    (out / image_path(recipe.split, index)).write_bytes(jpeg)


if __name__ == "__main__":
    main()
