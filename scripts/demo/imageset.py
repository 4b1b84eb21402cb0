"""A drawn set on disk: its command line, its seeds, and the marker that says it is complete; used by both image sets.

The marker `OUT/SPLIT-complete.json` is written last and holds what determines the pictures, with a hash of the drawing
code. It lies beside the split's folder, so that no source takes it for an image.
"""

import argparse
import functools
import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Recipe:
    """What determines a drawn split, the drawing code aside; `kind` is the name of the module that composes it."""

    kind: str
    split: str
    count: int
    seed: int


T = TypeVar("T")


def arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse `OUT --count --split --seed`."""
    parser.add_argument("out", type=Path, help="folder of the set")
    parser.add_argument("--count", type=int, default=2000, help="pictures in the split (2000)")
    parser.add_argument("--split", choices=SPLITS, default="val", help="which split to draw (val)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other pictures (0)")
    return parser.parse_args()


def picture_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """Return the generator of one picture, independent of every other."""
    return np.random.default_rng([seed, SPLITS.index(split), index])


def complete(
    out: Path,
    recipe: Recipe,
    draw_one: Callable[[Path, Recipe, int], T],
    finish: Callable[[list[T]], None] | None = None,
) -> None:
    """Draw the split with a process a core, unless its marker says that it is there.

    `finish` gets what `draw_one` returned, in the order of the pictures, before the marker is written.
    """
    marker = out / f"{recipe.split}-complete.json"
    wanted = json.dumps(asdict(recipe) | {"drawing": drawing_hash(recipe.kind)}, indent=1) + "\n"
    if marker.exists() and marker.read_text() == wanted:
        return
    marker.unlink(missing_ok=True)
    _remove_surplus(out / recipe.split, recipe)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        drawn = list(pool.map(functools.partial(draw_one, out, recipe), range(recipe.count), chunksize=25))
    if finish:
        finish(drawn)
    marker.write_text(wanted)


def _remove_surplus(folder: Path, recipe: Recipe) -> None:
    """Remove the pictures that a larger set left; nothing else in the folder is touched."""
    for file in folder.rglob(f"{recipe.split}_????????.*"):
        if file.stem.removeprefix(f"{recipe.split}_").isdigit() and int(file.stem[-8:]) >= recipe.count:
            file.unlink()


@functools.cache
def drawing_hash(kind: str) -> str:
    """Hash every module that decides on the pixels of `kind`, so that a change of the drawing redraws old sets."""
    folder = Path(__file__).parent
    names = ("backdrops", "camera", "motifs", "pen", "scenes", kind)
    return hashlib.sha256(b"".join((folder / f"{name}.py").read_bytes() for name in names)).hexdigest()[:16]
