"""`make demo`: draws the images where they are not there yet, then runs the real job on them.

    python -m scripts.demo classify|vit|detect [--engine local|ray]

The last demo's run is removed first, so that there is something to see. Run from the repository's root.
"""

import argparse
import shutil
import sys
from pathlib import Path

from job.plan.plan import run_paths
from job.spec.spec_file import load_spec
from scripts.demo.detection import draw_detection_set
from scripts.demo.images import draw_image_set
from tench.launcher.cli import main as tench

DEMOS = ("classify", "vit", "detect")
IMAGES = 2000
IMAGES_WITH_BOXES = 400
SPECS = Path("scripts/demo/specs")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description="Draw images and label them.")
    parser.add_argument("demo", choices=DEMOS)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    arguments = parser.parse_args()
    if arguments.demo == "detect":
        draw_detection_set(Path("demo/boxes"), "val", IMAGES_WITH_BOXES)
    else:
        draw_image_set(Path("demo/images"), "val", IMAGES)
    spec = SPECS / f"{arguments.demo}.yaml"
    shutil.rmtree(run_paths(load_spec(str(spec))).uri, ignore_errors=True)
    print(f"$ tench run {spec} --engine {arguments.engine}", file=sys.stderr)
    tench(["run", str(spec), "--engine", arguments.engine])


if __name__ == "__main__":
    main()
