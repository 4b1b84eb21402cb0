"""Runs that begin before their source is listed: the same rows, each once, whatever dies and whenever."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from colours import write_images
from run_specs import make_spec, read_predictions, run_here
from tench_command import environment

from job.errors import RunFailed, SourceError
from job.plan import freeze as freezing
from job.plan.freeze import Freezer
from job.plan.parts import load_chain, load_frozen
from job.plan.plan import run_paths
from job.results.verify import verify
from job.sources.source import Source
from job.stores.storage import open_folder

IMAGES = 150


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(freezing, "FIRST_PART_ROWS", 20)
    monkeypatch.setattr(freezing, "PART_ROWS", 40)


def one_by_one(list_images):
    """A listing in small tables, so that parts end where a listing may break off."""

    def listed(self, *names):
        for table in list_images(self, *names):
            yield from (table.slice(start, 10) for start in range(0, table.num_rows, 10))

    return listed


def list_spec(folder):
    uris = sorted(str(path) for path in (folder / "images").rglob("*.png"))
    (folder / "list.txt").write_text("\n".join(uris))
    return make_spec(folder, source={"kind": "list", "uri": str(folder / "list.txt"), "label_from": "directory"})


@pytest.mark.parametrize(
    ("make", "engine"),
    [
        (make_spec, "local"),
        (make_spec, "ray"),
        (list_spec, "local"),
        pytest.param(list_spec, "ray", marks=pytest.mark.slow),
    ],
)
def test_a_run_whose_plan_grew_has_the_rows_of_one_whose_plan_did_not(tmp_path, monkeypatch, small_parts, engine, make):
    write_images(tmp_path / "images", IMAGES)
    spec = make(tmp_path)
    paths = run_paths(spec)
    result = run_here(spec, engine)
    grown = read_predictions(paths)
    assert (result.rows, result.failed) == (IMAGES, 0)
    plan = json.loads(open_folder(paths.uri).read("plan.json"))
    assert [part["rows"] for part in plan["parts"]] == [20, 40, 40, 40, 10]
    assert verify(paths.uri).rows == IMAGES
    monkeypatch.setattr(freezing, "FIRST_PART_ROWS", 1000)
    monkeypatch.setattr(freezing, "PART_ROWS", 1000)
    run_here(spec, "local", run_id="at-once")
    at_once = read_predictions(run_paths(spec, "at-once"))
    assert grown.equals(at_once)
    assert grown.schema == at_once.schema


def test_rows_are_committed_while_the_source_is_listed(tmp_path, monkeypatch, small_parts):
    write_images(tmp_path / "images", IMAGES)
    spec = make_spec(tmp_path)
    predictions = Path(run_paths(spec).uri, "predictions")
    freeze_part, seen = Freezer.freeze_part, []

    def wait_for_rows(self):
        if self.chain and not seen:
            while not list(predictions.glob("*.parquet")):
                time.sleep(0.01)
            seen.append(load_frozen(open_folder(run_paths(spec).uri), run_paths(spec)))
        freeze_part(self)

    monkeypatch.setattr(Freezer, "freeze_part", wait_for_rows)
    assert run_here(spec).rows == IMAGES
    assert (seen[0].images, seen[0].is_listed) == (20, False)


@pytest.mark.parametrize("make", [make_spec, list_spec])
def test_a_listing_that_fails_stops_the_run_and_the_next_goes_on(tmp_path, monkeypatch, small_parts, make):
    write_images(tmp_path / "images", IMAGES)
    spec = make(tmp_path)
    paths = run_paths(spec)
    list_images = one_by_one(Source.list)

    def broken_off(self, *names):
        for number, table in enumerate(list_images(self, *names)):
            if number == 7:
                raise SourceError("the store went away")
            yield table

    with monkeypatch.context() as patch:
        patch.setattr(Source, "list", broken_off)
        with pytest.raises(RunFailed, match=r"^the store went away; the run had begun, and what is committed stays$"):
            run_here(spec)
    plan, chain = load_frozen(open_folder(paths.uri), paths), load_chain(open_folder(paths.uri), paths)
    assert (plan.images, plan.is_listed, len(chain.parts)) == (60, False, 2)
    before = {path: path.stat().st_mtime_ns for path in Path(paths.uri).rglob("*.[pm]a*") if path.is_file()}
    assert run_here(spec).rows == IMAGES
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert verify(paths.uri).rows == IMAGES


def test_a_planner_that_died_behind_the_last_part_leaves_a_run_that_lists_nothing(tmp_path, monkeypatch, small_parts):
    write_images(tmp_path / "images", IMAGES)
    spec = make_spec(tmp_path)
    run_here(spec)
    for name in ("plan.json", "_SUCCESS"):
        Path(run_paths(spec).uri, name).unlink()
    monkeypatch.setattr(Source, "list", lambda *_: iter([pa.table({})]))
    assert run_here(spec).rows == IMAGES


def test_an_image_that_came_and_one_that_went_while_no_driver_listed(tmp_path, monkeypatch, small_parts):
    write_images(tmp_path / "images", IMAGES)
    spec = make_spec(tmp_path)
    paths = run_paths(spec)
    with monkeypatch.context() as patch:
        patch.setattr(Freezer, "so_far", lambda self: sys.exit("killed"))
        with pytest.raises(SystemExit):
            run_here(spec)
    images = sorted(str(path) for path in (tmp_path / "images").rglob("*.png"))
    first, last = Path(images[0]), Path(images[-1])
    (first.parent / "0-new.png").write_bytes(first.read_bytes())
    (last.parent / "zzz-new.png").write_bytes(last.read_bytes())
    first.unlink()
    run_here(spec.model_copy(update={"errors": spec.errors.model_copy(update={"max_fraction": 0.1})}))
    rows = read_predictions(paths)
    assert rows["uri"].to_pylist() == [*images, str(last.parent / "zzz-new.png")]
    assert rows["error"][0].as_py().startswith("missing")


DRIVER = """
import random, sys, time
from job.plan import freeze
from job.plan.freeze import Freezer
freeze.FIRST_PART_ROWS, freeze.PART_ROWS = 20, 40
freeze_part = Freezer.freeze_part
def slowly(self):
    time.sleep(0.25 * (self.chain is not None))
    freeze_part(self)
Freezer.freeze_part = slowly
from tench.launcher.cli import main
sys.argv = ["tench", "run", "job.yaml", "--engine", "local"]
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("make", [make_spec, list_spec])
def test_a_driver_that_is_killed_while_it_lists_resumes_with_every_image_once(tmp_path, make):
    write_images(tmp_path / "images", IMAGES)
    spec = make(tmp_path)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    folder, moments = Path(run_paths(spec).uri), random.Random(make.__name__)

    def start():
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def there():
        files = [*folder.glob("manifest/*"), *folder.glob("predictions/*.parquet")]
        return {str(path): path.stat().st_mtime_ns for path in files}

    for parts in (1, 3):
        driver = start()
        while len(list(folder.glob("manifest/part-*"))) < parts:
            assert driver.poll() is None, driver.stderr.read()
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.3))
        before = there()
        driver.kill()
        assert driver.wait() == -signal.SIGKILL
        driver.communicate()
        assert not (folder / "plan.json").exists()
    last = start()
    _, errors = last.communicate()
    assert last.returncode == 0, errors
    assert before.items() <= there().items()
    assert verify(str(folder)).rows == IMAGES
    assert read_predictions(run_paths(spec))["uri"].to_pylist() == sorted(
        map(str, (tmp_path / "images").rglob("*.png"))
    )


def test_two_drivers_at_once_commit_one_run(tmp_path, small_parts):
    write_images(tmp_path / "images", IMAGES)
    spec = make_spec(tmp_path)
    results = []
    drivers = [threading.Thread(target=lambda: results.append(run_here(spec))) for _ in range(2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert [result.rows for result in results] == [IMAGES, IMAGES]
    assert verify(run_paths(spec).uri).rows == IMAGES
    assert pq.read_table(f"{run_paths(spec).uri}/predictions").num_rows == IMAGES
