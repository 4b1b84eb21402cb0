"""The memory of planning: a synthetic listing through the job's own `freeze`, in a fresh process for each size.

`python -m scripts.bench.plan_memory ROWS` prints the peak of its resident memory in bytes.
"""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from job.plan.freeze import freeze
from job.plan.plan import run_paths
from job.spec.spec import JobSpec
from job.stores.storage import open_folder

LISTED_AT_ONCE = 10_000  # rows of a source's tables
LIMIT_BYTES = 600_000_000


def print_plan_memory(console: Console, sizes: list[int]) -> int:
    """The exit code: 1 where a plan passed the limit."""
    peaks = [measure(rows) for rows in sizes]
    for rows, peak in zip(sizes, peaks, strict=True):
        console.print(f"{rows:>12,} rows planned at a peak of {peak / 1e6:,.0f} MB", highlight=False)
    console.print(f"the limit is {LIMIT_BYTES / 1e6:,.0f} MB", highlight=False)
    return int(max(peaks) > LIMIT_BYTES)


def measure(rows: int) -> int:
    """Peak bytes of a fresh process that plans so many rows."""
    command = [sys.executable, "-m", "scripts.bench.plan_memory", str(rows)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def plan_rows(rows: int, output: str) -> None:
    spec = JobSpec.model_validate(
        {
            "name": "plan",
            "source": {"uri": "s3://photographs/2026/"},
            "model": {"kind": "torchvision", "name": "resnet50"},
            "output": {"uri": output},
        }
    )
    paths = run_paths(spec)
    plan = freeze(spec, paths, open_folder(paths.uri), synthetic_listing(rows))
    if plan.images != rows:
        raise RuntimeError(f"planned {plan.images:,} of {rows:,} rows")


def synthetic_listing(rows: int) -> Iterator[pa.Table]:
    """As a bucket's listing: keys of 60 characters, etags of 32."""
    for first in range(0, rows, LISTED_AT_ONCE):
        numbers = range(first, min(first + LISTED_AT_ONCE, rows))
        yield pa.table(
            {
                "uri": [f"s3://photographs/2026/{number // 1000:08d}/{number:012d}-original.jpg" for number in numbers],
                "size": pa.array([60_000 + number % 50_000 for number in numbers], pa.int64()),
                "etag": [f"{number * 2654435761 % 2**128:032x}" for number in numbers],
                "expected": pa.nulls(len(numbers), pa.string()),
            }
        )


def peak_resident_bytes() -> int:
    """Of this process since it was executed."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would begin with what the parent had when it forked.
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        plan_rows(int(sys.argv[1]), folder)
    print(peak_resident_bytes())
