"""Trains the demo's models on drawn pictures and writes their weights; seeded, on one thread of the CPU.

    python -m scripts.demo.train classifier|vit|detector|all [--out DIR]

The result is committed under scripts/demo/weights, so only who changes the drawing or a model runs this.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from scripts.demo.motifs import CLASSES

WEIGHTS = Path(__file__).parent / "weights"
THREADS = 1


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo's models.")
    parser.add_argument("model", choices=[*TRAININGS, "all"])
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the weights")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(THREADS)
    write_labels(arguments.out)
    for name in TRAININGS if arguments.model == "all" else [arguments.model]:
        started = time.monotonic()
        torch.manual_seed(0)
        figures = TRAININGS[name](arguments.out)
        print(f"{name}: {figures}, in {time.monotonic() - started:.0f} s", file=sys.stderr)


def write_labels(out: Path) -> None:
    """Write the class names in the order of their indices, as `model.labels` reads them."""
    (out / "labels.json").write_text(json.dumps([name for _, name, _ in CLASSES], indent=1) + "\n")


def train_classifier(out: Path) -> str:
    from scripts.demo.train_classifier import train_classifier

    return train_classifier(out)


def train_vit(out: Path) -> str:
    from scripts.demo.train_vit import train_vit

    return train_vit(out)


def train_detector(out: Path) -> str:
    from scripts.demo.train_detector import train_detector

    return train_detector(out)


TRAININGS: dict[str, Callable[[Path], str]] = {
    "classifier": train_classifier,
    "vit": train_vit,
    "detector": train_detector,
}


if __name__ == "__main__":
    main()
