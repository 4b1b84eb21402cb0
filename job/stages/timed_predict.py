"""The predict stage as both engines run it: timed, and saying which device it is on."""

import time

import pyarrow as pa

from job.models.device import device_name
from job.models.resolve import ResolvedModel
from job.recipe import Recipe
from job.spec.spec import ComputeSpec
from job.stages import timing
from job.stages.predict import PredictStage


class TimedPredict:
    """Decoded tables in, rows out, with one timing column that sums both stages. Loads the model when made."""

    def __init__(self, model: ResolvedModel, compute: ComputeSpec, device: str, recipe: Recipe) -> None:
        self._device = device
        started = time.perf_counter()
        self._stage = PredictStage(model.spec, compute.batch_size, device, compute.cpus_per_replica, recipe, model)
        self._load_s = time.perf_counter() - started

    def __call__(self, decoded: pa.Table) -> pa.Table:
        decoded, before = timing.detach(decoded)
        started = time.perf_counter()
        rows = self._stage(decoded)
        figures: timing.Figures = {
            "read_s": sum(figures["read_s"] for figures in before),
            "decode_s": sum(figures["decode_s"] for figures in before),
            "predict_s": round(time.perf_counter() - started, 4),
            "load_s": round(self._load_s, 4),
            "device": f"{self._device}{self._stage.memory_note}",
            "device_name": device_name(self._device),
            "precision": self._stage.precision,
            # With every table, for any may be lost: 1,000 names are 20 KB beside 1,000 rows.
            "labels": self._stage.labels,
        }
        self._load_s = 0.0
        return timing.attach(rows, figures)
