"""What reading costs by how images are kept: `python -m scripts.bench reading --against REV`.

The same JPEGs loose, in tars, in Parquet of one row group, and of groups of 1,000 rows; from a folder, and from
a bucket that answers after 20 ms. Each build is a process that stays, and rounds take turns between them.
"""

import json
import os
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import IO

from rich.console import Console
from rich.table import Table

from scripts.bench.checkout import checkout
from scripts.bench.images import ImageSet, complete
from scripts.bench.process import ContenderError

LATENCY_S = 0.02
KINDS = {"loose": "files", "tar": "webdataset", "one group": "parquet", "groups of 1,000": "parquet"}
Found = dict[tuple[str, str, str], list[dict[str, float]]]


def print_reading(
    console: Console, folder: Path, images: int, revision: str | None, rounds: int, are_small: bool
) -> None:
    """Medians of the rounds. Raises ContenderError."""
    packed = pack(folder, ImageSet(images), are_small)
    with ExitStack() as stack:
        endpoint = stack.enter_context(_bucket(packed))
        builds = {"this": stack.enter_context(_process(Path.cwd(), endpoint))}
        if revision:
            builds[revision] = stack.enter_context(_process(stack.enter_context(checkout(revision)), endpoint))
        found: Found = defaultdict(list)
        for _ in range(rounds):
            for place, root in {"folder": f"{packed}/", "bucket": "s3://anonymous@"}.items():
                for layout, kind in KINDS.items():
                    for name, build in builds.items():
                        found[place, layout, name].append(build.measure(f"{root}{bucket_of(layout)}", kind))
    _print_table(console, found, {layout: _size(packed / bucket_of(layout)) for layout in KINDS}, rounds)


def bucket_of(layout: str) -> str:
    return layout.replace(" ", "-").replace(",", "")


def pack(folder: Path, images: ImageSet, are_small: bool) -> Path:
    """A folder with one for each layout. 1,000 images a tar; small ones are thumbnails of 5 KB."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = (folder / "packed" / f"{images.count}{'-small' * are_small}").resolve()
    if (root / "complete").exists():
        return root
    paths = images.paths(complete(folder / "images", images))
    for layout in KINDS:
        (root / bucket_of(layout)).mkdir(parents=True, exist_ok=True)
    loose = root / bucket_of("loose")
    for path in paths:
        (loose / path.name).write_bytes(_thumbnail(path) if are_small else path.read_bytes())
    paths = [loose / path.name for path in paths]
    for start in range(0, len(paths), 1000):
        with tarfile.open(root / bucket_of("tar") / f"{start:06d}.tar", "w") as tar:
            for path in paths[start : start + 1000]:
                tar.add(path, path.name)
    table = pa.table({"image": [path.read_bytes() for path in paths]})
    # Defaults but for the rows of a group: what pandas and pyarrow write.
    pq.write_table(table, root / bucket_of("one group") / "x.parquet", row_group_size=len(paths))
    pq.write_table(table, root / bucket_of("groups of 1,000") / "x.parquet", row_group_size=1000)
    (root / "complete").touch()
    return root


def _thumbnail(path: Path) -> bytes:
    from PIL import Image

    data = BytesIO()
    with Image.open(path) as image:
        image.resize((160, 120)).save(data, "JPEG", quality=85)
    return data.getvalue()


def _print_table(console: Console, found: Found, sizes: dict[str, int], rounds: int) -> None:
    table = Table(title=f"reading and decoding, two threads, {rounds} rounds, medians", title_justify="left")
    for heading in (
        "from",
        "kept as",
        "build",
        "images/s",
        "lowest",
        "highest",
        "CPU ms",
        "listing s",
        "read / size",
        "peak MB",
    ):
        table.add_column(heading, justify="left" if heading in ("from", "kept as", "build") else "right")
    for (place, layout, name), runs in found.items():
        rates = [run["images"] / run["reading_s"] for run in runs]
        table.add_row(
            place,
            layout,
            name,
            *(f"{pick(rates):,.0f}" for pick in (median, min, max)),
            f"{median(1000 * run['cpu_s'] / run['images'] for run in runs):.2f}",
            f"{median(run['listing_s'] for run in runs):.2f}",
            f"{median(run['bytes_read'] for run in runs) / sizes[layout]:.3f}",
            f"{max(run['peak_bytes'] for run in runs) / 1e6:,.0f}",
        )
    console.print(table)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@contextmanager
def _bucket(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "scripts.bench.folder_server", str(folder)]
    with _piped(command, {"LATENCY_S": str(LATENCY_S)}) as (_, answers):
        yield answers.readline().strip()


@dataclass(frozen=True)
class _Build:
    asks: IO[str]
    answers: IO[str]

    def measure(self, uri: str, kind: str) -> dict[str, float]:
        self.asks.write(json.dumps([uri, kind]) + "\n")
        self.asks.flush()
        answer = self.answers.readline()
        if not answer:
            raise ContenderError("a build's process ended; it printed why")
        found: dict[str, float] = json.loads(answer)
        return found


@contextmanager
def _process(code: Path, endpoint: str) -> Iterator[_Build]:
    """`scripts.bench.read_costs` with that build's code; as a file, for an older build has none."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("read_costs.py").resolve())]
    environment = {"PYTHONPATH": str(code.resolve()), "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}
    with _piped(command, environment) as pipes:
        yield _Build(*pipes)


@contextmanager
def _piped(command: list[str], environment: dict[str, str]) -> Iterator[tuple[IO[str], IO[str]]]:
    environment = {**os.environ, **environment}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise ContenderError("it has no pipes")
    try:
        yield process.stdin, process.stdout
    finally:
        process.kill()
        process.communicate()
