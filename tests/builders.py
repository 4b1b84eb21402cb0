"""Builders that several tests share: specs, listings and plans with good defaults."""

import pyarrow as pa

from job.plan.freeze import freeze
from job.plan.plan import run_paths
from job.spec.spec import JobSpec
from job.stores.storage import open_folder


def make_spec(output="out", rows_per_file=10, **model):
    return JobSpec.model_validate(
        {
            "name": "test",
            "source": {"uri": "images"},
            "model": {"kind": "torchvision", "name": "resnet18", **model},
            "output": {"uri": str(output), "rows_per_file": rows_per_file},
        }
    )


def make_listing(lengths, first=0):
    for length in lengths:
        numbers = range(first, first + length)
        first += length
        yield pa.table(
            {
                "uri": pa.array([f"/images/{number}.jpg" for number in numbers], pa.string()),
                "size": pa.array([number + 1 for number in numbers], pa.int64()),
                "etag": pa.array([f"e{number}" for number in numbers], pa.string()),
                "expected": pa.array([None] * length, pa.string()),
            }
        )


def freeze_here(tmp_path, lengths, **spec):
    spec = make_spec(tmp_path, **spec)
    paths = run_paths(spec)
    return spec, paths, freeze(spec, paths, open_folder(paths.uri), make_listing(lengths))
