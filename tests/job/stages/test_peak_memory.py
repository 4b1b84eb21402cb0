"""The peak of memory with large pictures, in processes of their own: bounded, whatever the number of threads.

`VmHWM` and not `ru_maxrss`: a process that is started inherits the latter of the one that starts it.
"""

import os
import subprocess
import sys

import pytest
from PIL import Image

MEGAPIXELS, IMAGES, BUDGET = 12, 8, 100_000_000

DECODE = """
import sys
import numpy as np
from pathlib import Path
from run_specs import make_spec
from job.plan.chunks import Chunk
from job.plan.freeze import freeze
from job.plan.manifest import Manifest
from job.plan.plan import run_paths
from job.recipe import Exactly, Recipe
from job.report.publish import thumbnails
from job.report.sampled_rows import SampledRow
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.stages.decode import DecodeStage
from job.stores.storage import open_folder
from scripts.bench.peak_memory import reset_peak, resident
import torch

folder, kind = sys.argv[1:]
spec = make_spec(Path(folder), rows_per_file=100)
paths, limits = run_paths(spec, kind), Limits.of(spec.errors)
plan = freeze(spec, paths, open_folder(paths.uri), open_source(spec.source, limits).list())
manifest = Manifest(paths, plan.parts)
recipe = Recipe(Exactly(32, 32)) if kind == "fixed" else Recipe()
stage = DecodeStage(manifest, spec.source, limits, recipe, threads=plan.images, block_images=100)
before, rows = reset_peak(), 0
if kind == "report":
    rows = len(thumbnails(spec, manifest, [SampledRow(0, row, str(row), 4000, 3000) for row in range(plan.images)]))
else:
    for table in stage(Chunk(0, 0, plan.images)):
        assert table["error"].null_count == len(table)
        rows += len(table)
assert rows == plan.images
print(resident("VmHWM") - before)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    (folder / "images").mkdir()
    picture = Image.effect_noise((400, 300), 90).convert("RGB").resize((4000, 3000), Image.Resampling.NEAREST)
    for number in range(IMAGES):
        picture.save(folder / "images" / f"{number}.png", compress_level=1)
    return folder


def peak(command, **environment):
    found = subprocess.run(
        [sys.executable, *command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    return found.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fixed", "variable", "report"])
def test_eight_large_pictures_at_once_take_no_more_than_the_budget(folder, kind):
    """Eight of 12 megapixels take 7 bytes a pixel each; one fits. As tables, two of 36 MB may be about."""
    found = int(peak(["-c", DECODE, str(folder), kind], TENCH_DECODE_BYTES=str(BUDGET)))
    assert found < BUDGET + 2 * 36e6 + 40e6


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["JPEG", "JPEG, progressive", "PNG", "WebP, lossless", "TIFF, floats", "HEIC", "JPEG XL", "JPEG 2000"]
)
def test_a_picture_takes_no_more_than_is_reserved_for_it(name):
    command = ["-m", "scripts.bench.peak_memory", "--here", "decoder", ".", name]
    took, reserved = map(float, peak(command).split())
    assert took < 1.03 * reserved + 1  # what is there once: a strip, tables
    assert took > reserved / 4, "so much too much would keep others waiting"
