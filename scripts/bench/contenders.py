"""The contenders: how each is started on a folder of images, and whether what it wrote is every image once.

Called by `scripts.bench.compare`. `local` and `ray` are Tench as its users call it; the others are programs beside
this module.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from scripts.bench.process import ContenderError
from scripts.bench.program import Options
from scripts.bench.record import Mark

OURS = ("local", "ray")
PREDICTORS = {"stub": "scripts.bench.stub:Stub", "mobilenet_v3_small": "scripts.bench.mobilenet:MobileNet"}
CONTENDERS = ("plain", "dataloader", *OURS, "bare")


def prepare(contender: str, options: Options) -> list[str]:
    """The command line. Clears the output of an earlier run, so that nothing is resumed."""
    shutil.rmtree(options.output, ignore_errors=True)
    if contender not in OURS:
        return [sys.executable, "-m", f"scripts.bench.{contender}", *options.arguments()]
    spec = options.output.with_suffix(".json")
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(json.dumps(_spec(options), indent=1))
    return [str(Path(sys.executable).with_name("tench")), "run", str(spec), "--engine", contender]


def check(contender: str, options: Options, expected: Sequence[Path], marks: Sequence[Mark]) -> None:
    """Raises ContenderError where an image is missing, doubled or without a label."""
    recorded = marks[-1].images if marks else 0
    if recorded != len(expected):
        raise ContenderError(f"{contender} predicted {recorded:,} images of {len(expected):,}")
    if contender == "bare":
        return
    name, label = ("uri", "label") if contender in OURS else ("path", "predicted_label")
    files = sorted(options.output.glob("*/predictions/*.parquet" if contender in OURS else "*.parquet"))
    tables = [pq.read_table(file, columns=[name, label]) for file in files]
    written = sorted(Path(path).name for table in tables for path in table[name].to_pylist())
    if written != sorted(path.name for path in expected):
        raise ContenderError(f"{contender} wrote {len(written):,} rows, not the {len(expected):,} images once each")
    if nulls := sum(table[label].null_count for table in tables):
        raise ContenderError(f"{contender} wrote {nulls:,} rows without a label")


def _spec(options: Options) -> dict[str, object]:
    """Nothing but defaults, and no GPU for anyone: the others run on the CPU too."""
    return {
        "name": "bench",
        "source": {"uri": str(options.images)},
        "model": {"kind": "python", "name": PREDICTORS[options.model]},
        "compute": {"gpus_per_replica": 0, "batch_size": options.batch_size},
        "output": {"uri": str(options.output)},
    }
