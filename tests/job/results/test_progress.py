"""Progress: counts, rates, the bottleneck, and progress.json for whoever is not at the terminal."""

import io
import json
import time

import pyarrow as pa
import pytest
from rich.console import Console

from job.results.progress import ProgressReporter
from job.stages.slots import Slots
from job.stores.storage import open_folder


def make_rows(errors):
    return pa.table({"error": pa.array(errors, pa.string())})


def make_figures(read_s=0.0, decode_s=0.0, predict_s=0.0):
    return [{"read_s": read_s, "decode_s": decode_s, "predict_s": predict_s, "device": "cpu", "precision": "float32"}]


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("job.results.progress.time", clock)
    return clock


def make_progress(folder):
    console = Console(file=io.StringIO(), force_terminal=False)
    return ProgressReporter(open_folder(str(folder)), total=100, done=20, console=console, slots=Slots(2, 2, 1))


@pytest.fixture
def progress(tmp_path):
    return make_progress(tmp_path)


def test_progress_json_tells_how_far_the_run_is(progress, tmp_path):
    with progress:
        progress.add(make_rows([None] * 28 + ["missing: gone", "truncated: cut"]), make_figures(decode_s=0.1))
    document = json.loads((tmp_path / "progress.json").read_text())
    assert (document["rows_done"], document["failed"], document["total"]) == (50, 2, 100)
    assert document["images_per_second"] > 0
    assert document["eta_s"] >= 0  # null until there is a rate
    assert document["is_listed"]
    others = {"images_per_second", "eta_s", "bottleneck", "updated"}
    assert set(document) == {"rows_done", "failed", "total", "is_listed"} | others


def test_the_rate_is_of_this_attempt_since_its_first_image(clock, progress):
    assert progress.images_per_second == 0
    clock.now += 100  # Ray starts, the model loads
    progress.add(make_rows([None] * 30), make_figures(read_s=1, decode_s=3, predict_s=6))
    assert progress.done == 50
    assert progress.images_per_second == 3
    clock.now += 20
    assert progress.images_per_second == 1


def test_the_time_left_is_by_the_rate_of_the_last_minute(clock, progress):
    assert progress.eta_s is None
    clock.now += 10
    progress.add(make_rows([None] * 10), make_figures(predict_s=10))
    assert progress.eta_s == 70  # one table has no rate of its own yet
    clock.now += 90
    progress.add(make_rows([None] * 5), make_figures())
    clock.now += 30
    progress.add(make_rows([None] * 30), make_figures())
    assert progress.eta_s == 35  # one a second; over the whole run it is one in three


@pytest.mark.parametrize(
    ("figures", "stage"),
    [
        ({"read_s": 9, "decode_s": 1, "predict_s": 1}, "read"),
        ({"read_s": 1, "decode_s": 9, "predict_s": 1}, "decode"),
        ({"read_s": 1, "decode_s": 1, "predict_s": 9}, "predict"),
        ({"read_s": 0, "decode_s": 6, "predict_s": 5}, "predict"),  # two threads decode, one replica predicts
    ],
)
def test_the_bottleneck_is_the_stage_whose_slots_are_busiest(clock, progress, figures, stage):
    clock.now += 10
    progress.add(make_rows([None] * 10), make_figures(**figures))
    assert progress.bottleneck().startswith(f"{stage} (read ")


def test_elsewhere_than_on_a_terminal_a_line_tells_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("job.results.progress.INTERVAL_S", 0.02)
    caplog.set_level("INFO", "job")
    with make_progress(tmp_path) as progress:
        progress.add(make_rows([None] * 29 + ["empty: no bytes"]), make_figures(decode_s=0.1))
        while not caplog.records:
            time.sleep(0.01)
    assert caplog.records[-1].getMessage().startswith("50 of 100 images, 1 failed, 0:0")
    assert "images/s; bottleneck: decode (read 0%, decode" in caplog.records[-1].getMessage()
