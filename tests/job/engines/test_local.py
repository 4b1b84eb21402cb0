"""The local engine's threads: each has ended before the process may."""

import threading
import time

import pyarrow as pa
import pytest

from job.engines.engine import Work
from job.engines.local import LocalEngine
from job.recipe import Recipe
from job.spec.spec import ComputeSpec, ModelSpec


class Decode:
    """A slow decode stage."""

    recipe = Recipe()

    def __call__(self, chunk):
        for index in range(100):
            time.sleep(0.02)
            yield pa.table({"index": [chunk * 100 + index]})


@pytest.fixture
def predict(monkeypatch):
    """Stands for the model: rows pass."""
    monkeypatch.setattr("job.engines.local.TimedPredict", lambda *_: lambda table: table)


def test_a_run_that_is_left_early_leaves_no_thread_behind(predict):
    before = set(threading.enumerate())
    compute = ComputeSpec(gpus_per_replica=0)
    with LocalEngine(compute) as engine:
        rows = engine.run(Work(range(4), Decode(), ModelSpec(kind="torchvision", name="resnet18"), compute))
        next(rows)
        assert set(threading.enumerate()) > before
        rows.close()

    assert set(threading.enumerate()) == before
