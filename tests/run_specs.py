"""Specs of whole runs with the small model of `colours`, and what they leave."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from job.plan.paths import RunPaths
from job.run import run
from job.spec.spec import JobSpec
from job.stores.storage import open_folder


def make_spec(folder, rows_per_file=10, images="images", **sections):
    return JobSpec.model_validate(
        {
            "name": "colours",
            "source": {"uri": f"{folder}/{images}", "label_from": "directory"},
            "model": {"kind": "python", "name": "colours:make", "top_k": 2},
            "compute": {"batch_size": 8},
            "output": {"uri": f"{folder}/runs", "rows_per_file": rows_per_file},
            **sections,
        }
    )


def run_here(spec, engine="local", run_id=None):
    return run(spec, run_id, engine, Console(stderr=True))


def read_predictions(paths):
    folder = open_folder(paths.uri)
    files = json.loads(folder.read(RunPaths.success))["files"]
    return pa.concat_tables([pq.read_table(pa.BufferReader(folder.read(file["file"]))) for file in files])


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())
