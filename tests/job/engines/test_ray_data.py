"""The Ray engine: what leaves a process, in either of its ways, which processes it takes, and its end."""

import os
import subprocess
import sys

import pytest
from colours import write_images
from tench_command import environment

from job.engines.ray_data import RayEngine
from job.errors import PreflightError
from job.spec.spec import ComputeSpec

PLAN = """
from types import SimpleNamespace
import ray
from job.errors import PreflightError
from job.engines.ray_data import rows_dataset
from job.plan.chunks import Chunks
from job.spec.spec import ComputeSpec, ModelSpec
ray.init("local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
decode = SimpleNamespace(threads=1, block_images=8, recipe=SimpleNamespace(size=(32, 32)))
model = ModelSpec(kind="torchvision", name="resnet18", weights="none")
chunks = Chunks((0, 1, 2), 8, 24, 8)
work = SimpleNamespace(chunks=chunks, decode=decode, model=model, compute=ComputeSpec(gpus_per_replica=0))
rows_dataset(work).explain()
"""

RUN = """
import sys, threading, time
from pathlib import Path
from job.engines import ray_data
from job.engines.capacity import Layout, divide
from run_specs import make_spec, read_predictions, run_here
def workers():
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            status = dict(line.split(":", 1) for line in path.read_text().splitlines())
            parent = Path("/proc", status["PPid"].strip(), "comm").read_text().strip()
            name = path.with_name("cmdline").read_text()
        except OSError:
            continue
        if parent == "raylet" and name.startswith("ray::"):
            yield name.split("(")[0].strip("\\0"), int(status["RssShmem"].split()[0]) * 1024
def watch():
    while True:
        for name, shared_bytes in workers():
            seen[name] = max(seen.get(name, 0), shared_bytes)
        time.sleep(0.02)
seen = {}
threading.Thread(target=watch, daemon=True).start()
if sys.argv[2] == "in tasks":
    ray_data.lay_out = lambda nodes, compute, gpus: Layout(divide([node.cpus for node in nodes], compute), False, "")
print(len(read_predictions(run_here(make_spec(sys.argv[1], rows_per_file=600), "ray").paths)))
print(max(seen.values()), *sorted(seen))
"""


@pytest.mark.slow
@pytest.mark.parametrize("place", ["beside the model", "in tasks"])
def test_pixels_leave_a_process_only_where_other_nodes_decode(tmp_path, place):
    write_images(tmp_path / "images", 600)
    command = [sys.executable, "-c", RUN, str(tmp_path), place]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=200, check=True)
    (rows,), (shared_bytes, *workers) = map(str.split, done.stdout.splitlines())
    assert rows == "600"
    if place == "in tasks":
        assert int(shared_bytes) > 600 * 1000
    else:
        assert int(shared_bytes) <= 600 * 1000
        # One process, under its names before and while it is a replica, whatever Ray Data would start beside it.
        assert set(workers) <= {"ray::IDLE", "ray::MapWorker"}


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
