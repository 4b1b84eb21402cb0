"""Kill the driver with SIGKILL at random moments and run it again: every image once, committed files untouched.

TENCH_KILL_IMAGES, TENCH_KILL_SHARDS and TENCH_KILLS make it as large as one likes; `-s` shows what each kill cost.
"""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from colours import write_images
from run_specs import make_spec, read_predictions
from tench_command import COMMAND, environment

from job.plan.paths import RunPaths
from job.plan.plan import run_paths
from job.results.verify import verify

IMAGES = int(os.environ.get("TENCH_KILL_IMAGES", "600"))
SHARDS = int(os.environ.get("TENCH_KILL_SHARDS", "12"))
KILLS = int(os.environ.get("TENCH_KILLS", "2"))


class Driver:
    """`tench run` in a process of its own, with a log of its own: Ray's actors outlive a driver for a moment."""

    def __init__(self, folder, engine, paths):
        self.paths = Path(paths.uri)
        self.log = folder / f"seen-{time.monotonic_ns()}.log"
        self.rows_before = sum(pq.read_metadata(file).num_rows for file in self.committed())
        self.process = subprocess.Popen(
            [*COMMAND, "run", "job.yaml", "--engine", engine],
            cwd=folder,
            env=environment(COLOURS_LOG=str(self.log)),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_for_commits(self, number):
        while len(self.committed()) < number:
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.01)

    def committed(self):
        """Inode, size and mtime of each committed file: a rewritten file has others."""
        found = {str(path): path.stat() for path in self.paths.glob("predictions/*.parquet")}
        return {file: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for file, stat in found.items()}

    def read(self):
        """Images that this attempt gave to the model."""
        return sum(map(int, self.log.read_text().split())) if self.log.exists() else 0

    def kill(self):
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL
        self.process.communicate()


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_a_driver_that_is_killed_resumes_with_every_image_once(tmp_path, monkeypatch, engine):
    write_images(tmp_path / "images", IMAGES)
    monkeypatch.setenv("COLOURS_SECONDS_PER_IMAGE", "0.002")
    spec = make_spec(tmp_path, rows_per_file=IMAGES // SHARDS, compute={"batch_size": 16})
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    paths, moments = run_paths(spec), random.Random(engine)
    stops = sorted(moments.sample(range(1, SHARDS - 1), KILLS))
    drivers = []
    for shards in stops:
        driver = Driver(tmp_path, engine, paths)
        before = driver.committed()
        driver.wait_for_commits(shards)
        time.sleep(moments.uniform(0, 0.1))
        driver.kill()
        after = driver.committed()
        assert before.items() <= after.items()
        print(f"{engine}: killed with {len(after)} of {SHARDS} shards committed")
        drivers.append(driver)
    committed = driver.committed()
    last = Driver(tmp_path, engine, paths)
    _, errors = last.process.communicate()
    assert last.process.returncode == 0, errors
    assert committed.items() <= last.committed().items()
    assert verify(paths.uri).rows == IMAGES
    uris = read_predictions(paths)["uri"].to_pylist()
    assert uris == sorted(str(path) for path in (tmp_path / "images").rglob("*.png"))
    assert last.read() == IMAGES - last.rows_before  # what no shard held, each once; anew it would be all IMAGES
    again = sum(driver.read() for driver in [*drivers, last]) - IMAGES
    print(f"{engine}: {again} of {IMAGES} images were read again after {KILLS} kills")
    assert all(driver.read() <= IMAGES - driver.rows_before for driver in drivers)


@pytest.mark.slow
def test_a_finished_run_returns_without_starting_an_engine(tmp_path):
    write_images(tmp_path / "images", 30)
    spec = make_spec(tmp_path)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    for images in (30, 0):
        done = Driver(tmp_path, "local", run_paths(spec))
        _, errors = done.process.communicate()
        assert done.process.returncode == 0, errors
        assert done.read() == images
    assert "nothing to do" in errors
    assert RunPaths.success in os.listdir(run_paths(spec).uri)


def test_ctrl_c_ends_with_130_and_a_rerun_resumes(tmp_path, monkeypatch):
    write_images(tmp_path / "images", 300)
    monkeypatch.setenv("COLOURS_SECONDS_PER_IMAGE", "0.01")
    spec = make_spec(tmp_path, rows_per_file=30, compute={"batch_size": 10})
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    driver = Driver(tmp_path, "local", run_paths(spec))
    driver.wait_for_commits(2)
    driver.process.send_signal(signal.SIGINT)
    _, errors = driver.process.communicate(timeout=30)
    assert driver.process.returncode == 130, errors
    assert "what is committed stays, run it again to resume" in errors
    assert "Traceback" not in errors
    committed = driver.committed()
    monkeypatch.setenv("COLOURS_SECONDS_PER_IMAGE", "0")
    again = Driver(tmp_path, "local", run_paths(spec))
    _, errors = again.process.communicate()
    assert again.process.returncode == 0, errors
    assert committed.items() <= again.committed().items()
    assert verify(run_paths(spec).uri).rows == 300
