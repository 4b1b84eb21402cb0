"""Runs of 0.1, whose ids took relative paths as they were written: found where they were made, and nowhere else."""

import logging

import pyarrow as pa
import pytest
from builders import make_spec

from job.errors import PlanChanged
from job.plan import freeze as freezing
from job.plan.earlier_runs import find_run
from job.plan.fingerprint import earlier_fingerprint
from job.plan.paths import RunPaths
from job.plan.plan import check_unchanged, run_paths
from job.plan.records import load_plan
from job.spec.spec import JobSpec
from job.stores.storage import open_folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Goes to a folder of that name; its runs are in one for all, where nothing else is said."""

    def go(name):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        return tmp_path / name

    return go


def spec_of(tmp_path, output=None, errors=None, **source):
    written = make_spec(output or tmp_path / "runs").model_dump(mode="json")
    source = {"uri": "images", **source}
    return JobSpec.model_validate({**written, "source": source, "errors": errors or {}})


def leave_earlier_run(spec, first_uri, run_id=None):
    """What 0.1 left of a plan, of one image; its id."""
    paths = RunPaths(spec.output.uri, run_id or f"test-{earlier_fingerprint(spec)[:8]}")
    row = {"uri": [first_uri], "size": [1], "etag": ["e"], "expected": pa.array([None], pa.string())}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(freezing, "fingerprint", earlier_fingerprint)
        patch.setattr(freezing, "with_absolute_paths", lambda spec: spec)
        freezing.freeze(spec, paths, open_folder(paths.uri), iter([pa.table(row)]))
    return paths.run_id


def found(spec, run_id=None):
    """The run that is gone on with, None where a new one begins."""
    paths = find_run(spec, run_id)
    plan = load_plan(open_folder(paths.uri))
    if plan is None:
        assert paths == run_paths(spec, run_id)
        return None
    check_unchanged(plan, spec)
    return paths.run_id


@pytest.mark.parametrize(
    ("source", "image"),
    [
        ({}, "images/a/x.jpg"),
        ({"uri": "images/x.jpg"}, "images/x.jpg"),
        ({"kind": "parquet", "uri": "images/*.parquet"}, "images/0.parquet#0"),
        ({"kind": "webdataset", "uri": "images/{00..12}.tar"}, "images/00.tar#x.jpg"),
        ({"kind": "webdataset", "uri": "images/00.tar"}, "images/00.tar#x.jpg"),
    ],
)
def test_a_run_is_found_in_the_folder_it_was_made_in_and_in_no_other(tmp_path, place, source, image):
    spec = spec_of(tmp_path, **source)
    old = leave_earlier_run(spec, f"{place('mine')}/{image}")
    assert found(spec) == old
    place("theirs")
    assert found(spec) is None
    place("mine")
    assert found(spec) == old


def test_a_run_of_the_new_id_goes_before_one_of_the_old(tmp_path, place):
    spec = spec_of(tmp_path)
    old = leave_earlier_run(spec, f"{place('mine')}/images/x.jpg")
    paths = run_paths(spec)
    freezing.freeze(spec, paths, open_folder(paths.uri), iter([pa.table({"uri": ["x"], "size": [1]})]))
    assert found(spec) == paths.run_id != old


def test_a_run_id_of_ones_own_is_refused_in_another_folder(tmp_path, place):
    spec = spec_of(tmp_path)
    leave_earlier_run(spec, f"{place('mine')}/images/x.jpg", "nightly")
    assert found(spec, "nightly") == "nightly"
    there = place("theirs")
    with pytest.raises(PlanChanged, match=rf"nightly was planned .* in another folder(?s:.*)x\.jpg → {there}/images"):
        found(spec, "nightly")


def test_a_new_run_id_of_ones_own_is_refused_in_another_folder_too(tmp_path, place):
    spec = spec_of(tmp_path)
    mine = place("mine")
    paths = run_paths(spec, "nightly")
    freezing.freeze(spec, paths, open_folder(paths.uri), iter([pa.table({"uri": ["x"], "size": [1]})]))
    there = place("theirs")
    with pytest.raises(PlanChanged, match=rf"source\.uri: '{mine}/images' → '{there}/images'"):
        found(spec, "nightly")


def test_where_nothing_tells_the_old_run_is_named_and_left(tmp_path, place, caplog):
    spec = spec_of(tmp_path, uri="s3://bucket/images", label_from="directory", label_names="names.json")
    place("mine")
    old = leave_earlier_run(spec, "s3://bucket/images/a/x.jpg")
    with caplog.at_level(logging.WARNING):
        assert found(spec) is None
    assert f"go on with it by --run-id {old}" in caplog.text
    assert found(spec, old) == old


def test_runs_that_lie_in_the_folder_itself_are_of_it(tmp_path, place):
    spec = spec_of(tmp_path, output="runs", uri="s3://bucket/images", label_from="directory", label_names="names.json")
    place("mine")
    old = leave_earlier_run(spec, "s3://bucket/images/a/x.jpg")
    assert found(spec) == old
    place("theirs")
    assert found(spec) is None


def test_a_run_with_limits_of_its_own_is_found_by_them_alone(tmp_path):
    spec = spec_of(tmp_path, uri="/data", errors={"max_pixels": 1_000})
    old = leave_earlier_run(spec, "/data/x.jpg")
    assert found(spec) == old
    assert found(spec_of(tmp_path, uri="/data", errors={"max_pixels": 2_000})) is None
    with pytest.raises(PlanChanged, match=r"another --run-id\n  errors\.max_pixels: 1000 → 89478485"):
        found(spec_of(tmp_path, uri="/data"))
