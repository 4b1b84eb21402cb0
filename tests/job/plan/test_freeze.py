"""Freezing: what the manifest says of each row, who wins a race, and which stores are no good for one."""

import datetime
import logging
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import freeze_here, make_listing, make_spec

from job.errors import PlanChanged
from job.plan import freeze as freezing
from job.plan.freeze import add_sizes, freeze
from job.plan.manifest import Manifest
from job.plan.plan import run_paths
from job.plan.records import FrozenModel, load_plan
from job.stores.local_folder import LocalFolder
from job.stores.storage import open_folder


def test_every_row_says_its_shard_and_its_place_and_a_shard_is_a_row_group(tmp_path):
    _, paths, plan = freeze_here(tmp_path, [25])
    manifest = Manifest(paths, plan.parts)
    for shard in range(3):
        rows = manifest.rows(shard)
        assert rows["shard"].to_pylist() == [shard] * rows.num_rows
        assert rows["row"].to_pylist() == list(range(rows.num_rows))
        assert [rows.schema.field(name).type for name in ("shard", "row")] == [pa.int32(), pa.int32()]
    metadata = pq.read_metadata(tmp_path / paths.run_id / paths.manifest(0))
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [10, 10, 5]
    assert metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize(
    ("limit", "value", "rows"), [("PART_ROWS", 20, [20, 20, 9]), ("PART_BYTES", 1, [10, 10, 10, 10, 9])]
)
def test_parts_are_bounded_in_rows_and_in_bytes(tmp_path, monkeypatch, limit, value, rows):
    monkeypatch.setattr(freezing, limit, value)
    _, paths, plan = freeze_here(tmp_path, [25, 24])
    assert [part.rows for part in plan.parts] == rows
    assert [part.first_shard for part in plan.parts] == [0, *accumulate(part.shards for part in plan.parts)][:-1]
    assert plan.images == 49
    assert [part.etag for part in plan.parts] == [
        open_folder(paths.uri).head(paths.manifest(number)).etag for number in range(len(rows))
    ]


def test_a_shard_of_more_rows_than_arrow_writes_by_default_is_one_row_group_too(tmp_path):
    rows = 1_050_000
    columns = {"uri": pa.repeat("x", rows), "size": pa.nulls(rows, pa.int64())}
    spec = make_spec(output=str(tmp_path), rows_per_file=rows)
    paths = run_paths(spec)
    plan = freeze(spec, paths, open_folder(paths.uri), iter([pa.table(columns)]))
    assert (plan.shards, Manifest(paths, plan.parts).rows(0, ["uri"]).num_rows) == (1, rows)


def test_model_image_and_what_is_left_out_are_frozen(tmp_path, monkeypatch):
    monkeypatch.setenv("TENCH_IMAGE", "registry/tench@sha256:1")
    model = FrozenModel(files={"net.pth": "sha256:2"})
    spec = make_spec(output=str(tmp_path))
    paths = run_paths(spec)
    plan = freeze(spec, paths, open_folder(paths.uri), make_listing([3]), lambda: model)
    assert (plan.model, plan.image) == (model, "registry/tench@sha256:1")


def test_the_moment_is_in_utc_to_the_second(tmp_path):
    _, _, plan = freeze_here(tmp_path, [1])
    moment = datetime.datetime.fromisoformat(plan.created)
    assert (moment.utcoffset(), moment.microsecond) == (datetime.timedelta(0), 0)


def test_bytes_are_not_told_where_one_size_is_not_known():
    known, unknown = ({"size": pa.array(sizes, pa.int64())} for sizes in ([1, 2], [1, None]))
    assert add_sizes(0, pa.table(known)) == 3
    assert add_sizes(4, pa.table(known)) == 7
    assert add_sizes(4, pa.table(unknown)) is None
    assert add_sizes(None, pa.table(known)) is None
    assert add_sizes(4, pa.table({**known, "crop_xywh": [[0, 0, 1, 1]] * len(known["size"])})) is None
    assert add_sizes(4, pa.table({"size": pa.array([], pa.int64())})) == 4


class Racing(LocalFolder):
    """Another planner of the same run is done just before this one writes an object of that name."""

    def __init__(self, path, key, other):
        super().__init__(path)
        self._key, self._other = key, other

    def create(self, key, data):
        if key == self._key and self._other:
            other, self._other = self._other, None
            other()
        return super().create(key, data)


@pytest.mark.parametrize("key", ["plan.json", "manifest"])
def test_a_planner_that_loses_the_race_takes_the_winners_plan(tmp_path, key):
    spec = make_spec(output=str(tmp_path))
    paths = run_paths(spec)
    key = paths.manifest(0) if key == "manifest" else key
    won = []
    folder = Racing(paths.uri, key, lambda: won.append(freeze(spec, paths, open_folder(paths.uri), make_listing([25]))))
    assert freeze(spec, paths, folder, make_listing([25])) == won[0] == load_plan(folder)
    assert won[0].parts[0].etag == folder.head(paths.manifest(0)).etag


def test_two_planners_at_work_on_one_listing_do_not_touch_each_others_parts(tmp_path):
    spec = make_spec(output=str(tmp_path))
    paths = run_paths(spec)
    part, plan_file = (tmp_path / paths.run_id / name for name in (paths.manifest(0), "plan.json"))
    freeze(spec, paths, open_folder(paths.uri), make_listing([25]))
    plan_file.unlink()  # the other one has not come so far yet
    written = part.stat()
    freeze(spec, paths, open_folder(paths.uri), make_listing([25]))
    assert (part.stat().st_ino, part.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_a_winner_with_another_spec_is_refused(tmp_path):
    spec, other = (make_spec(output=str(tmp_path), top_k=top_k) for top_k in (1, 2))
    paths = run_paths(spec, "mine")
    first = paths.manifest(0)
    folder = Racing(paths.uri, first, lambda: freeze(other, paths, open_folder(paths.uri), make_listing([25])))
    with pytest.raises(PlanChanged, match=r"model\.top_k: 2 → 1"):
        freeze(spec, paths, folder, make_listing([25]))


class Overwriting(LocalFolder):
    """As stores that do not heed `If-None-Match: *`."""

    def create(self, key, data):
        return self.put(key, data)


def test_a_store_that_overwrites_is_told_of(tmp_path, caplog):
    spec = make_spec(output=str(tmp_path))
    paths = run_paths(spec)
    with caplog.at_level(logging.WARNING):
        freeze(spec, paths, open_folder(paths.uri), make_listing([5]))
        assert caplog.text == ""
        freeze(spec, paths, Overwriting(str(tmp_path / "other")), make_listing([5]))
    assert f"{tmp_path}/other overwrites where it was asked to create only" in caplog.text
