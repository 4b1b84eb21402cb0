"""The JSON objects of a run's folder: read as every version wrote them, and refused in words where they are damaged."""

import json

import pytest
from pydantic import ValidationError

from job.errors import RunFailed
from job.plan.records import (
    CommittedFile,
    Metrics,
    Progress,
    Record,
    Success,
    UnreadableRecord,
    load_plan,
    load_progress,
    load_success,
)
from job.stores.storage import open_folder

# As version 0.1 wrote it: without digests, and with a key that is no more.
OLD_SUCCESS = {
    "run_id": "pets-0123abcd",
    "rows": 3,
    "failed": 1,
    "files": [{"file": "predictions/shard-00000.parquet", "rows": 3, "bytes": 2000, "etag": "a-b-c"}],
    "metrics": {
        "rows": 3,
        "failed_by_kind": {"empty": 1},
        "predicted_per_class": {"cat": 2},
        "evaluated": 2,
        "top1": 0.5,
        "k": 5,
        "top5": 1.0,
        "unknown_expected": {},
        "confusions": [{"expected": "dog", "label": "cat", "count": 1, "share": 1.0}],
        "per_class": {"dog": {"n": 1, "top1": 0.0}, "cat": {"n": 1, "top1": 1.0}},
        "warnings": [],
    },
    "seconds": 1.5,
    "finished": "2026-11-01T12:00:00+00:00",
    "versions": {"tench": "0.1.0"},
    "mood": "good",
}


def test_what_an_older_version_wrote_is_read_and_written_again_the_same(tmp_path):
    (tmp_path / "_SUCCESS").write_text(json.dumps(OLD_SUCCESS))
    success = load_success(open_folder(str(tmp_path)))
    assert success.files[0].sha256 is None
    assert (success.metrics.top1, success.metrics.k, success.metrics.top_k) == (0.5, 5, 1.0)
    assert success.metrics.per_class["dog"].n == 1
    again = json.loads(success.to_bytes())
    assert again["metrics"] == OLD_SUCCESS["metrics"]
    assert "mood" not in again


def test_figures_that_a_task_does_not_have_are_not_written():
    boxes = Metrics(rows=2, failed_by_kind={}, boxes=3, images_without_box=0, boxes_per_class={"dog": 3})
    written = json.loads(boxes.model_dump_json())
    assert set(written) == {"rows", "failed_by_kind", "boxes", "images_without_box", "boxes_per_class", "warnings"}
    one_class = Metrics(rows=2, failed_by_kind={}, evaluated=2, top1=1.0, k=1)
    assert Metrics.model_validate_json(one_class.model_dump_json()) == one_class
    assert not any(key.startswith("top") and key != "top1" for key in json.loads(one_class.model_dump_json()))


@pytest.mark.parametrize("record", [Record(), Progress(rows_done=1, failed=0, total=2)])
def test_a_record_cannot_be_changed(record):
    with pytest.raises(ValidationError):
        record.rows_done = 3


@pytest.mark.parametrize(
    ("load", "name"), [(load_plan, "plan.json"), (load_success, "_SUCCESS"), (load_progress, "progress.json")]
)
@pytest.mark.parametrize("data", [b"", b'{"rows"', b"[]", b'{"rows": "many", "total": "many"}', b"\xff\xfe"])
def test_a_damaged_object_is_named_with_a_fix_in_one_line(tmp_path, load, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnreadableRecord) as caught:
        load(open_folder(str(tmp_path)))
    assert isinstance(caught.value, RunFailed)
    assert str(caught.value).startswith(f"{tmp_path}/{name} is not Tench's: ")
    assert "--run-id" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert load(open_folder(str(tmp_path / "elsewhere"))) is None


@pytest.mark.parametrize("k", ["five", [5], {"five": 5}])
def test_a_k_that_is_no_number_is_named_as_well(tmp_path, k):
    found = {**OLD_SUCCESS, "metrics": {**OLD_SUCCESS["metrics"], "k": k}}
    (tmp_path / "_SUCCESS").write_text(json.dumps(found))
    with pytest.raises(UnreadableRecord, match=r"metrics\.k: Input should be a valid integer"):
        load_success(open_folder(str(tmp_path)))


def test_the_files_of_a_run_keep_their_digest():
    file = CommittedFile(file="predictions/shard-00000.parquet", rows=1, bytes=2, etag="e", sha256="ab")
    success = Success(run_id="r", rows=1, failed=0, files=(file,), seconds=1, finished="2026-11-01T12:00:00+00:00")
    assert Success.model_validate_json(success.to_bytes()) == success
