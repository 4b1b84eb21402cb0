"""One build's decode stage: a line with a folder and a way to decode in, seconds of CPU an image out.

Run as a program by `scripts.bench.decoding`, with the build's code; of the job it uses what earlier builds have, too.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from pydantic import ValidationError

from job.plan.chunks import Chunk
from job.plan.freeze import freeze
from job.plan.manifest import Manifest
from job.plan.plan import run_paths
from job.recipe import Recipe, ShortestEdge
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import JobSpec
from job.stages.decode import DecodeStage
from job.stores.storage import open_folder

# Rows that a scaled run decodes exactly, too, ten of each two thousand; of a few images they would be most.
UNTIMED = 10
RECIPE = Recipe(ShortestEdge(256), crop=(224, 224))  # of ImageNet's networks


def measure(images: Path, decode: str) -> float | None:
    """None where the build knows no such way."""
    with tempfile.TemporaryDirectory() as output:
        source = {"uri": str(images), **({} if decode == "exact" else {"decode": decode})}
        model = {"kind": "torchvision", "name": "resnet18"}
        try:
            spec = JobSpec.model_validate(
                {"name": "decoding", "source": source, "model": model, "output": {"uri": output}}
            )
        except ValidationError:
            return None
        paths, limits = run_paths(spec), Limits.of(spec.errors)
        plan = freeze(spec, paths, open_folder(paths.uri), open_source(spec.source, limits).list())
        stage = DecodeStage(Manifest(paths, plan.parts), spec.source, limits, RECIPE, threads=1, block_images=256)
        timed = Chunk(0, UNTIMED, plan.images)
        list(stage(Chunk(0, UNTIMED, UNTIMED + 1)))  # imports, and a pool of threads
        started = time.process_time()
        rows = sum(table["error"].null_count for table in stage(timed))
        if rows != plan.images - UNTIMED:
            raise RuntimeError(f"{plan.images - UNTIMED - rows} images failed")
        return float(time.process_time() - started) / int(rows)


if __name__ == "__main__":
    for line in sys.stdin:
        folder, way = json.loads(line)
        print(json.dumps(measure(Path(folder), way)), flush=True)
