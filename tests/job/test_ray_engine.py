"""The Ray engine's plan: decoding stays in tasks of its own, whatever the stages ask for."""

import subprocess
import sys

PLAN = """
from types import SimpleNamespace
import ray
from job.engines.ray_data import rows_dataset
from job.spec import ComputeSpec, ModelSpec
ray.init("local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
decode = SimpleNamespace(threads=1, block_images=8, recipe=SimpleNamespace(size=(32, 32)))
model = ModelSpec(kind="torchvision", name="resnet18", weights="none")
work = SimpleNamespace(chunks=[1, 2, 3], decode=decode, model=model, compute=ComputeSpec(gpus_per_replica=0))
rows_dataset(work).explain()
"""


def test_decoding_is_not_fused_into_the_replicas():
    """Both on one CPU, Ray Data would run them in one actor, one after the other."""
    done = subprocess.run([sys.executable, "-c", PLAN], capture_output=True, text=True, check=True, timeout=120)
    physical = done.stdout.partition("Physical Plan (Optimized)")[2] or done.stdout.partition("Optimized")[2]
    assert "MapBatches(Replica)" in physical
    assert "decode_chunks)->MapBatches(Replica)" not in physical
