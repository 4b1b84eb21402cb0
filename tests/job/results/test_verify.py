"""Verifying a run's folder: what holds is said in one line, what does not is named, and little is read."""

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from colours import make_image, write_images
from run_specs import make_spec, run_here

from job.errors import RunFailed
from job.results.run_listing import list_run
from job.results.verify import verify
from job.stores.storage import open_folder

SHARDS = [f"predictions/shard-{shard:05d}.parquet" for shard in range(3)]


@pytest.fixture
def run(tmp_path):
    """A finished run of 25 images in 3 shards, one of which failed."""
    write_images(tmp_path / "images", 24)
    (tmp_path / "images" / "red" / "empty.png").write_bytes(b"")
    return Path(run_here(make_spec(tmp_path, errors={"max_fraction": 0.5})).uri)


def predictions(run, shard):
    return run / "predictions" / f"shard-{shard:05d}.parquet"


def commit(run, shard, table):
    """Writes a shard anew, and `_SUCCESS` with its etag."""
    path = predictions(run, shard)
    if isinstance(table, bytes):
        path.write_bytes(table)
    else:
        pq.write_table(table, path)
    success = json.loads((run / "_SUCCESS").read_text())
    entry = open_folder(str(run)).head(success["files"][shard]["file"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    success["files"][shard] |= {"bytes": entry.size, "etag": entry.etag, "sha256": digest}
    (run / "_SUCCESS").write_text(json.dumps(success))


def problem_of(run):
    with pytest.raises(RunFailed) as caught:
        verify(str(run))
    return str(caught.value)


def test_what_holds(run):
    assert verify(f"{run}/").model_dump() == {"uri": str(run), "files": 3, "rows": 25, "failed": 1, "accepted": 0}


def test_a_file_that_readers_would_read_too_is_found(run):
    (run / "predictions" / "again").mkdir()
    for name in ("again/part.parquet", "shard-00003.parquet", ".tench-1.tmp", "_metadata"):
        (run / "predictions" / name).write_bytes(predictions(run, 0).read_bytes())
    lines = problem_of(run).splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["predictions/again/part.parquet", "predictions/shard-00003.parquet"]
    assert "is no file of this run, and would be read with them" in lines[0]


@pytest.mark.parametrize("change", ["swap", "double", "drop", "other"])
def test_every_uri_is_there_once_and_in_order(run, change):
    table = pq.read_table(predictions(run, 1))
    order = {"swap": [1, 0, *range(2, 10)], "double": [0, 0, *range(2, 10)], "drop": range(9), "other": range(10)}
    changed = table.take(pa.array(order[change]))
    if change == "other":
        changed = changed.set_column(0, "uri", pa.array([f"{uri}?" for uri in changed["uri"].to_pylist()]))
    commit(run, 1, changed)
    assert "shard-00001.parquet holds" in problem_of(run)
    assert "that are not the plan's 10, in its order" in problem_of(run)


def test_failed_images_are_counted_in_the_predictions(run):
    success = json.loads((run / "_SUCCESS").read_text())
    (run / "_SUCCESS").write_text(json.dumps(success | {"failed": 2}))
    assert "_SUCCESS counts 2 failed images, the predictions 1" in problem_of(run)


def test_a_file_that_is_no_parquet_is_named(run):
    commit(run, 2, predictions(run, 2).read_bytes()[:-1])
    assert "shard-00002.parquet cannot be read: " in problem_of(run)


def test_a_run_that_is_not_finished_and_a_folder_that_is_none(run, tmp_path):
    (run / "_SUCCESS").unlink()
    assert "has no _SUCCESS: the run is not finished, or it failed; run the same spec again" in problem_of(run)
    (run / "_SUCCESS").write_bytes(b"")  # as Spark leaves it
    assert "is not Tench's" in problem_of(run)
    assert f"{tmp_path}/images has no plan.json: it is no run's folder" in problem_of(tmp_path / "images")


def test_an_etag_is_the_same_with_and_without_quotes(run):
    found = list_run(open_folder(str(run)))
    quoted = {shard: file.model_copy(update={"etag": f'"{file.etag}"'}) for shard, file in found.shards.items()}
    assert dataclasses.replace(found, shards=quoted).copied == set()
    other = {**found.shards, 1: found.shards[1].model_copy(update={"etag": "other"})}
    assert dataclasses.replace(found, shards=other).copied == {"predictions/shard-00001.parquet"}


def test_a_run_that_was_copied_to_another_place_verifies(run, tmp_path):
    """Other inodes and times, and so other etags; the bytes are the same."""
    shutil.copytree(run, tmp_path / "elsewhere" / "archived")
    assert list_run(open_folder(str(tmp_path / "elsewhere" / "archived"))).copied == set(SHARDS)
    assert verify(str(tmp_path / "elsewhere" / "archived")).rows == 25


def test_a_run_that_was_copied_to_a_bucket_verifies(run, s3):
    for path in sorted(run.rglob("*")):
        if path.is_file():
            s3.put(f"copies/{path.relative_to(run)}", path.read_bytes())
    assert verify(f"{s3.uri}/copies").rows == 25


def test_a_copy_with_other_bytes_of_the_same_size_is_told(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    data = bytearray(predictions(copy, 1).read_bytes())
    data[20] ^= 1
    predictions(copy, 1).write_bytes(data)
    assert f"{SHARDS[1]} was changed: its bytes are not those that were committed" in problem_of(copy)


def test_a_run_of_a_version_that_kept_no_digests_verifies_where_it_lies_and_not_as_a_copy(run, tmp_path):
    success = json.loads((run / "_SUCCESS").read_text())
    for file in success["files"]:
        del file["sha256"]
    (run / "_SUCCESS").write_text(json.dumps(success))
    assert verify(str(run)).rows == 25
    copy = shutil.copytree(run, tmp_path / "copy")
    assert "was changed: " in problem_of(copy)


def test_one_listing_and_parts_of_the_files_are_read(s3, flaky, tmp_path):
    images = [make_image("red", number) for number in range(4)]
    table = pa.table({"image": images, "ballast": [os.urandom(200_000) for _ in images]})
    (tmp_path / "source").mkdir()
    pq.write_table(table, tmp_path / "source" / "images.parquet")
    source = {"kind": "parquet", "uri": str(tmp_path / "source"), "keep": ["ballast"]}
    uri = run_here(make_spec(s3.uri, source=source, rows_per_file=2)).uri
    flaky.requests.clear()
    flaky.sent = 0
    assert verify(uri).rows == 4
    assert flaky.sent < 400_000 < sum(file.bytes for file in list_run(open_folder(uri)).shards.values())
    assert flaky.requests["HEAD"] <= 1  # of the manifest, never of a shard
