"""The run summary: the same `_SUCCESS` whoever committed the shards and in whatever order they came."""

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from builders import freeze_here
from hypothesis import given, settings
from hypothesis import strategies as st
from run_specs import make_spec

from job.errors import RunFailed
from job.plan.records import load_success
from job.results.run_listing import committed_shards
from job.results.run_summary import RunSummary
from job.results.sink import committed_file, encode
from job.stores.storage import open_folder

SHARDS, ROWS = 7, 10
NAMES = ("tench", "church", "gas pump")
# As often each, and not the one before the other in every shard.
ERRORS = ({2: "missing: gone", 5: "empty: no bytes"}, {1: "empty: no bytes", 9: "missing: gone"})


def make_predictions(shard, errors):
    known = [None if row in errors else NAMES[row * (shard + 1) % 3] for row in range(ROWS)]
    return pa.table(
        {
            "uri": [f"/images/{shard}/{row}.jpg" for row in range(ROWS)],
            "expected": [NAMES[row % 3] for row in range(ROWS)],
            "error": pa.array([errors.get(row) for row in range(ROWS)], pa.string()),
            "label": pa.array(known, pa.string()),
            "top_labels": pa.array([name and [name, NAMES[shard % 3]] for name in known], pa.list_(pa.string())),
        }
    )


class Run:
    """A run's folder with every shard committed."""

    def __init__(self, folder):
        _, self.paths, self.plan = freeze_here(folder, [SHARDS * ROWS], rows_per_file=ROWS)
        self.folder = open_folder(self.paths.uri)
        self.spec = make_spec(folder, errors={"max_fraction": 0.5})
        self.shards = {shard: self.commit(shard) for shard in range(SHARDS)}
        self.seen = []

    def commit(self, shard):
        table = make_predictions(shard, ERRORS[shard % 2])
        key, data = self.paths.predictions(shard), encode(table)
        return committed_file(key, self.folder.create(key, data), data, table), table

    def summary(self):
        self.seen, busy = [], threading.Lock()

        def on_shard(predictions, shard):
            assert busy.acquire(blocking=False), "two shards at a time"
            time.sleep(0.0002)
            self.seen.append((shard, predictions["uri"][0].as_py()))
            busy.release()

        return RunSummary(self.spec, self.plan, self.folder, on_shard)

    def success(self, summary, seconds=1.0):
        """What `_SUCCESS` has, but for the time; it is taken away again."""
        summary.commit(seconds)
        data = load_success(self.folder).model_copy(update={"finished": "", "seconds": 0.0}).to_bytes()
        self.folder.delete("_SUCCESS")
        return data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("run"))


def add_all(summary, shards):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: summary.add(item[0], *item[1]), shards))


@settings(max_examples=30)
@given(order=st.permutations(range(SHARDS)), here=st.integers(0, SHARDS))
def test_success_is_the_same_whoever_committed_and_in_whatever_order(run, order, here):
    expected = run.summary()
    for shard, committed in run.shards.items():
        expected.add(shard, *committed)
    found = run.summary()
    earlier = committed_shards(run.folder, run.paths, run.plan)
    found.add_committed({shard: earlier[shard] for shard in order[here:]})
    add_all(found, [(shard, run.shards[shard]) for shard in order[:here]])
    assert sorted(run.seen) == [(shard, f"/images/{shard}/0.jpg") for shard in range(SHARDS)]
    assert (found.rows, found.failed) == (SHARDS * ROWS, 2 * SHARDS)
    assert run.success(found) == run.success(expected)


@pytest.mark.parametrize("is_read_back", [False, True])
def test_success_lists_each_file_with_its_digest_in_the_order_of_the_shards(run, is_read_back):
    summary = run.summary()
    if is_read_back:
        summary.add_committed(committed_shards(run.folder, run.paths, run.plan))
    else:
        add_all(summary, list(run.shards.items())[::-1])
    said = summary.commit(12.345)
    assert load_success(run.folder) == said
    run.folder.delete("_SUCCESS")
    assert [file.file for file in said.files] == [run.paths.predictions(shard) for shard in range(SHARDS)]
    for file in said.files:
        data = Path(run.paths.uri, file.file).read_bytes()
        assert (file.sha256, file.bytes, file.rows) == (hashlib.sha256(data).hexdigest(), len(data), ROWS)
        assert file.etag == run.folder.head(file.file).etag
    assert (said.run_id, said.rows, said.failed, said.seconds) == (run.paths.run_id, 70, 14, 12.3)
    assert said.metrics.failed_by_kind == {"empty": 7, "missing": 7}


def problem_of(run, failed, rows, max_fraction):
    errors = [f"missing: {row}" if row else "empty: no bytes" for row in range(failed)]
    table = pa.table(
        {
            "expected": pa.nulls(rows, pa.string()),
            "error": pa.array([*errors, *[None] * (rows - failed)], pa.string()),
            "label": pa.nulls(rows, pa.string()),
            "top_labels": pa.nulls(rows, pa.list_(pa.string())),
        }
    )
    spec = make_spec("somewhere", errors={"max_fraction": max_fraction})
    summary = RunSummary(spec, run.plan, run.folder, lambda *_: None)
    summary.add(0, committed_file("predictions/shard-00000.parquet", "", b"", table), table)
    return summary.problem()


@pytest.mark.parametrize("failed", [0, 1, 7, 29, 99])
def test_the_run_has_failed_where_more_than_the_allowed_fraction_has(run, failed):
    allowed = float(f"0.{failed:02}")
    assert problem_of(run, failed, 100, allowed) is None
    assert isinstance(problem_of(run, failed + 1, 100, allowed), RunFailed)
    assert problem_of(run, 10 * failed, 1000, allowed) is None
    assert isinstance(problem_of(run, 10 * failed + 1, 1000, allowed), RunFailed)


def test_why_the_run_has_failed_is_said_with_the_way_out(run):
    problem = str(problem_of(run, 1201, 2000, 0.6))
    assert problem.startswith("1,201 of 2,000 images failed (1,200 missing, 1 empty), 60.05% where ")
    assert "errors.max_fraction allows 60.00%" in problem
    assert f"all rows are in {run.paths.uri}/predictions/, without _SUCCESS" in problem
    assert "--run-id" in problem


def test_a_run_without_rows_has_not_failed(run):
    assert run.summary().problem() is None


def test_the_success_of_the_driver_that_was_first_stands(run, caplog):
    first, second = run.summary(), run.summary()
    add_all(first, run.shards.items())
    add_all(second, list(run.shards.items())[1:])
    said = first.commit(1)
    assert not caplog.records
    assert second.commit(2) == said
    assert load_success(run.folder) == said
    run.folder.delete("_SUCCESS")
    assert caplog.messages == ["another driver of this run wrote _SUCCESS first; it stands"]
