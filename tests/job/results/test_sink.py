"""The sink: a shard is committed once, whole, in the manifest's order, whatever order its rows come in."""

import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import freeze_here
from hypothesis import given
from hypothesis import strategies as st

from job.errors import RunFailed
from job.plan.manifest import Manifest
from job.results.sink import Sink
from job.stores.storage import open_folder


def make_rows(pairs):
    return pa.table(
        {
            "shard": pa.array([shard for shard, _ in pairs], pa.int32()),
            "row": pa.array([row for _, row in pairs], pa.int32()),
            "error": pa.array([None] * len(pairs), pa.string()),
            "label": pa.array([f"{shard}/{row}" for shard, row in pairs], pa.string()),
        }
    )


class Run:
    def __init__(self, tmp_path, images, rows_per_file):
        _, self.paths, self.plan = freeze_here(tmp_path, [images], rows_per_file=rows_per_file)
        self.folder = open_folder(self.paths.uri)
        self.committed = {}

    def sink(self):
        def note(shard, file, table):
            assert shard not in self.committed
            self.committed[shard] = (file, table)

        return Sink(self.folder, Manifest(self.paths, self.plan.parts), self.plan, note)

    def labels(self):
        files = sorted(self.folder.uri + "/" + self.paths.predictions(shard) for shard in range(self.plan.shards))
        return [label for file in files for label in pq.read_table(file)["label"].to_pylist()]


@given(data=st.data(), images=st.integers(1, 60), rows_per_file=st.integers(1, 20))
def test_every_row_is_committed_once_in_order(tmp_path_factory, data, images, rows_per_file):
    run = Run(tmp_path_factory.mktemp("run"), images, rows_per_file)
    pairs = [(number // rows_per_file, number % rows_per_file) for number in range(images)]
    again = data.draw(st.lists(st.sampled_from(pairs), max_size=20))
    shuffled = data.draw(st.permutations([*pairs, *again]))
    sink = run.sink()
    while shuffled:
        size = data.draw(st.integers(1, 15))
        sink.add(make_rows(shuffled[:size]))
        shuffled = shuffled[size:]
    sink.close()
    assert run.labels() == [f"{shard}/{row}" for shard, row in pairs]
    assert sum(file.rows for file, _ in run.committed.values()) == images


def test_a_shard_that_misses_a_row_is_not_committed(tmp_path):
    run = Run(tmp_path, 20, 10)
    sink = run.sink()
    sink.add(make_rows([(0, row) for row in range(10)] + [(1, row) for row in range(9)]))
    with pytest.raises(RunFailed, match=r"1 shards miss rows \(\{1: 1\}\); run it again to resume"):
        sink.close()
    assert list(run.committed) == [0]


def test_the_columns_are_the_contracts_in_the_contracts_order(tmp_path):
    run = Run(tmp_path, 3, 10)
    sink = run.sink()
    sink.add(make_rows([(0, 2), (0, 0), (0, 1)]))
    sink.close()
    assert run.committed[0][1].column_names == ["uri", "expected", "error", "label"]


def test_a_shard_that_another_driver_committed_stands(tmp_path):
    run = Run(tmp_path, 10, 10)
    first, second = run.sink(), Run.sink(run)
    rows = make_rows([(0, row) for row in range(10)])
    first.add(rows)
    first.close()
    entry = run.folder.head(run.paths.predictions(0))
    run.committed.clear()
    second.add(rows.set_column(3, "label", pa.array(["other"] * 10)))
    second.close()
    assert run.folder.head(run.paths.predictions(0)) == entry
    assert run.committed[0][0].etag == entry.etag
    assert run.labels() == [f"0/{row}" for row in range(10)]


def test_a_store_that_refuses_a_commit_fails_the_run(tmp_path):
    run = Run(tmp_path, 10, 10)
    (tmp_path / run.paths.run_id / "predictions").write_text("in the way")
    sink = run.sink()
    sink.add(make_rows([(0, row) for row in range(10)]))
    with pytest.raises(Exception, match="predictions"):
        sink.close()
    assert threading.active_count() < 50
