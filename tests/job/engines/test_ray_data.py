"""The Ray engine's plan, in which decoding stays in tasks of its own, and its end."""

import os
import subprocess
import sys

import pytest

from job.engines.ray_data import RayEngine
from job.errors import PreflightError
from job.spec.spec import ComputeSpec

PLAN = """
from types import SimpleNamespace
import ray
from job.errors import PreflightError
from job.engines.ray_data import rows_dataset
from job.spec.spec import ComputeSpec, ModelSpec
ray.init("local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
decode = SimpleNamespace(threads=1, block_images=8, recipe=SimpleNamespace(size=(32, 32)))
model = ModelSpec(kind="torchvision", name="resnet18", weights="none")
work = SimpleNamespace(chunks=[1, 2, 3], decode=decode, model=model, compute=ComputeSpec(gpus_per_replica=0))
rows_dataset(work).explain()
"""


@pytest.mark.slow
def test_decoding_is_not_fused_into_the_replicas():
    """Both on one CPU, Ray Data would run them in one actor, one after the other."""
    done = subprocess.run([sys.executable, "-c", PLAN], capture_output=True, text=True, check=True, timeout=120)
    physical = done.stdout.partition("Physical Plan (Optimized)")[2] or done.stdout.partition("Optimized")[2]
    assert "MapBatches(Replica)" in physical
    assert "decode_chunks)->MapBatches(Replica)" not in physical


@pytest.mark.slow
def test_ray_is_down_when_the_engine_has_stopped(monkeypatch):
    """A reference dropped while another thread takes Ray down makes Ray end the process, without a word."""
    import ray

    monkeypatch.setenv("PYTHONPATH", "mine")
    with RayEngine(ComputeSpec(gpus_per_replica=0)) as engine:
        assert engine.slots.replicas == 1
        assert engine.slots is engine.slots  # the cluster is asked once
    assert not ray.is_initialized()
    assert os.environ["PYTHONPATH"] == "mine"


@pytest.mark.parametrize("error", [RuntimeError("no room"), SystemExit("no room")])
def test_whatever_keeps_ray_from_starting_is_told_and_nothing_waits(monkeypatch, error):
    def refuse(compute):
        raise error

    monkeypatch.setattr("job.engines.ray_data.init_ray", refuse)
    with RayEngine(ComputeSpec(gpus_per_replica=0)) as engine, pytest.raises(PreflightError, match="no room"):
        engine.slots  # noqa: B018
