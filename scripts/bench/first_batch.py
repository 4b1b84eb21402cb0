"""From the start of `tench run` to the first committed shard, and the driver's memory until then, by sizes of a source.

`python -m scripts.bench.first_batch bucket|list SIZE...` prints a line for each size. The bucket is `s3_stub`, the list
a Parquet file of URIs; the model does next to nothing, and a shard has 1,000 rows.
"""

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from scripts.bench.s3_stub import png

TIMEOUT_S = 170.0


def measure(kind: str, size: int, seconds: float = TIMEOUT_S) -> tuple[float, int]:
    """Seconds to the first committed shard, and the peak of the driver's resident memory in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        server = _start_bucket(size) if kind == "bucket" else None
        try:
            endpoint = server.stdout.readline().strip() if server and server.stdout else ""
            _write_spec(Path(folder), kind, size)
            return _run(Path(folder), endpoint, seconds)
        finally:
            if server:
                server.kill()
                server.wait()


def _start_bucket(size: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "scripts.bench.s3_stub", str(size)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _write_spec(folder: Path, kind: str, size: int) -> None:
    source: dict[str, Any] = {"kind": "files", "uri": "s3://bench/photos/"}
    if kind == "list":
        (folder / "images").mkdir()
        for number in range(1000):
            (folder / f"images/{number:04d}.png").write_bytes(png())
        names = [f"images/{number:04d}.png" for number in range(1000)]
        with pq.ParquetWriter(folder / "uris.parquet", pa.schema([("url", pa.string())])) as writer:
            for start in range(0, size, 100_000):
                rows = min(100_000, size - start)
                writer.write_table(pa.table({"url": (names * (rows // 1000 + 1))[:rows]}))
        source = {"kind": "parquet", "uri": str(folder / "uris.parquet"), "uri_column": "url"}
    spec = {
        "name": "first",
        "source": source,
        "model": {"kind": "python", "name": "scripts.bench.stub:Stub"},
        "compute": {"batch_size": 250},
        "output": {"uri": str(folder / "runs"), "rows_per_file": 1000},
        "errors": {"max_fraction": 1.0},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(spec))


def _run(folder: Path, endpoint: str, seconds: float) -> tuple[float, int]:
    aws = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
    }
    command = [sys.executable, "-c", "from tench.launcher.cli import main; import sys; sys.exit(main())"]
    started = time.monotonic()
    driver = subprocess.Popen(
        [*command, "run", "job.yaml", "--engine", "local"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", os.getcwd()), **(aws if endpoint else {})},
        stderr=subprocess.PIPE,
    )
    try:
        while time.monotonic() - started < seconds:
            if list(folder.glob("runs/*/predictions/*.parquet")):
                return time.monotonic() - started, _peak_bytes(driver.pid)
            if driver.poll() is not None:
                raise RuntimeError(textwrap.shorten(str(driver.stderr and driver.stderr.read()), 2000))
            time.sleep(0.02)
        return float("inf"), _peak_bytes(driver.pid)
    finally:
        driver.kill()
        driver.communicate()


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024


if __name__ == "__main__":
    for size in map(int, sys.argv[2:]):
        seconds, peak = measure(sys.argv[1], size)
        print(
            f"{sys.argv[1]} of {size:>12,}: first shard after {seconds:6.1f} s, peak {peak / 1e6:5.0f} MB", flush=True
        )
