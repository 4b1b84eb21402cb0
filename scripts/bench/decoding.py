"""What decoding costs: seconds of CPU from a file to the decode stage's table, one thread, this build and another.

`python -m scripts.bench decoding --against REV`. Each build is a process that stays, and rounds take turns between
them, so that what disturbs the machine disturbs both.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO

import numpy as np
from rich.console import Console
from rich.table import Table

from scripts.bench.checkout import checkout
from scripts.bench.decode_costs import UNTIMED
from scripts.bench.images import ImageSet, complete, draw_scene
from scripts.bench.process import ContenderError

PHONE_SIZE, PHONE_QUALITY, PHONES, SMALL = (4032, 3024), 85, 4, 200
CASES = {"500x375": "exact", "12 megapixels": "exact", "12 megapixels, scaled": "scaled"}


def print_decoding(console: Console, folder: Path, revision: str | None, rounds: int) -> None:
    """Medians of the rounds, and their spread. Raises ContenderError."""
    folders = {"500x375": complete(folder / "images", ImageSet(SMALL)), "12 megapixels": _phones(folder / "phones")}
    with ExitStack() as stack:
        builds = {"this": stack.enter_context(_process(Path.cwd()))}
        if revision:
            builds[revision] = stack.enter_context(_process(stack.enter_context(checkout(revision))))
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for case, decode in CASES.items():
                for name, build in builds.items():
                    seconds = build.measure(folders[case.partition(",")[0]], decode)
                    if seconds is not None:
                        found.setdefault((case, name), []).append(seconds)
    _print_table(console, found, revision, rounds)


def _print_table(
    console: Console, found: dict[tuple[str, str], list[float]], revision: str | None, rounds: int
) -> None:
    table = Table(title=f"ms of CPU an image to 224, one thread, {rounds} rounds", title_justify="left")
    for heading in ("images", "build", "median", "lowest", "highest", f"of {revision}, exact" if revision else ""):
        table.add_column(heading, justify="left" if heading in ("images", "build") else "right")
    for (case, name), seconds in found.items():
        before = found.get((case.partition(",")[0], revision or ""))
        ratio = f"{median(before) / median(seconds):.2f} times as fast" if before and name == "this" else ""
        table.add_row(case, name, *(f"{1000 * pick(seconds):.2f}" for pick in (median, min, max)), ratio)
    console.print(table)


def _phones(folder: Path) -> Path:
    """Photographs as a telephone takes them, 3 to 5 MB each, and before them so many again as nobody times."""
    import simplejpeg

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(PHONES):
        path = folder / f"photo-{number}.jpg"
        if not path.exists():
            scene = draw_scene(np.random.default_rng(number), PHONE_SIZE)
            path.write_bytes(simplejpeg.encode_jpeg(scene, PHONE_QUALITY, "RGB", "420"))
    for number in range(UNTIMED):
        path = folder / f"again-{number}.jpg"
        if not path.exists():
            path.hardlink_to(folder / "photo-0.jpg")
    return folder


@dataclass(frozen=True)
class _Build:
    asks: IO[str]
    answers: IO[str]

    def measure(self, images: Path, decode: str) -> float | None:
        """Seconds an image; None where the build does not know how."""
        try:
            self.asks.write(json.dumps([str(images.resolve()), decode]) + "\n")
            self.asks.flush()
        except BrokenPipeError:
            raise ContenderError("a build's process ended; it printed why") from None
        answer = self.answers.readline()
        if not answer:
            raise ContenderError("a build's process ended; it printed why")
        seconds: float | None = json.loads(answer)
        return seconds


@contextmanager
def _process(code: Path) -> Iterator[_Build]:
    """`scripts.bench.decode_costs` with that build's code; as a file, for an older build has none."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("decode_costs.py").resolve())]
    environment = {**os.environ, "PYTHONPATH": str(code.resolve())}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise ContenderError("it has no pipes")
    try:
        yield _Build(process.stdin, process.stdout)
    finally:
        process.kill()
        process.communicate()
