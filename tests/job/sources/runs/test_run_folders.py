"""Runs inside the source: no kind of source takes them for images, and what lies in them is counted."""

import io
import shutil
import tarfile
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from colours import make_image, write_images
from hypothesis import given
from hypothesis import strategies as st
from run_specs import files_below, make_spec, run_here
from sources import rows_of

from job.errors import SourceError
from job.results.preview import preview
from job.sources.left_out import LeftOutCounts
from job.sources.open_source import open_source
from job.sources.runs.run_folders import OWN_RUNS, without_runs
from job.spec.limits import Limits
from job.spec.spec import FilesSource, ParquetSource
from job.stores.storage import open_folder

LIMITS = Limits(10**9, 10**6)


def write_files(folder):
    write_images(folder, 6)
    return {"uri": str(folder), "label_from": "directory"}, 6


def write_parquet(folder):
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"image": [make_image("red", number) for number in range(5)]}), folder / "z.parquet")
    return {"kind": "parquet", "uri": str(folder)}, 5


def write_tar(folder):
    folder.mkdir(parents=True)
    with tarfile.open(folder / "z.tar", "w") as archive:
        for number in range(4):
            member, data = tarfile.TarInfo(f"{number}.png"), make_image("blue", number)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return {"kind": "webdataset", "uri": str(folder)}, 4


@pytest.mark.parametrize("output", [".", "deep/er"])
@pytest.mark.parametrize("write", [write_files, write_parquet, write_tar])
def test_a_run_inside_its_source_is_passed_over_and_counted(tmp_path, write, output):
    source, images = write(tmp_path / "in")
    spec = make_spec(tmp_path, source=source, output={"uri": f"{tmp_path}/in/{output}", "rows_per_file": 2})
    first = run_here(spec, run_id="first")
    assert first.rows == images
    again = run_here(spec, run_id="second")
    assert again.rows == images
    (counted,) = [each for each in again.success.left_out if each.kind == OWN_RUNS]
    assert counted.count == len(files_below(first.uri))
    assert counted.example.startswith("first/" if output == "." else "deep/er/first/")
    assert preview(spec, None).images == images


def test_what_lies_in_a_run_is_read_where_the_uri_says_so(tmp_path):
    source, _ = write_files(tmp_path / "images")
    run = run_here(make_spec(tmp_path, source=source, output={"uri": f"{tmp_path}/images/runs", "rows_per_file": 2}))
    for uri in (f"{run.uri}/predictions", f"{tmp_path}/images/runs/*/predictions/*.parquet"):
        source = open_source(ParquetSource(kind="parquet", uri=uri, uri_column="uri"), LIMITS)
        assert rows_of(source).num_rows == 6
    for spec in (ParquetSource(kind="parquet", uri=run.uri), FilesSource(uri=run.uri)):
        with pytest.raises(SourceError, match=r"objects of Tench's own runs are there.* RUN/predictions/"):
            rows_of(open_source(spec, LIMITS))


def test_a_run_in_a_bucket_costs_no_request(flaky, s3, tmp_path):
    write_images(tmp_path / "images", 4)
    run = run_here(make_spec(tmp_path))
    for folder in ("in/a", "in/b/c"):
        for name in files_below(run.uri):
            s3.put(f"{folder}/{run.paths.run_id}/{name}", (tmp_path / "runs" / run.paths.run_id / name).read_bytes())
    s3.put("in/a.parquet", b"PAR1")
    counts = LeftOutCounts()
    before = flaky.requests["GET"]

    found = [
        key for table in without_runs(open_folder(f"{s3.uri}/in").list(), counts) for key in table["key"].to_pylist()
    ]

    assert found == ["a.parquet"]
    assert counts.count(OWN_RUNS) == 2 * len(files_below(run.uri))
    assert flaky.requests["GET"] == before + 1


def test_parts_that_a_dead_planner_left_are_no_images_and_other_peoples_parts_are(tmp_path):
    write_images(tmp_path / "images", 4)
    run = run_here(make_spec(tmp_path))
    for name in (run.paths.run_id, "photos"):
        shutil.copytree(f"{run.uri}/manifest", tmp_path / "in" / name / "manifest")
    tables = without_runs(open_folder(str(tmp_path / "in")).list(), LeftOutCounts())
    assert [key for table in tables for key in table["key"].to_pylist()] == ["photos/manifest/part-00000.manifest"]


RUN = [
    "_SUCCESS",
    "logs/driver-1.log",
    "manifest/part-00000.parquet",
    "manifest/part-00001.parquet",
    "plan.json",
    "predictions/shard-00000.parquet",
    "report.html",
]
OTHERS = ["a.jpg", "manifest/part-00000.parquet", "b/plan.json", "_SUCCESS", "part-0.parquet", "z/z.jpg", "r.jpg"]


@given(
    runs=st.just({""}) | st.sets(st.sampled_from(["r/", "r0/s/", "a/", "\n/", "z/t/u/", "m/"]), max_size=4),
    others=st.sets(st.tuples(st.sampled_from(["", "o/", "q/p/", "r-/", "y/"]), st.sampled_from(OTHERS)), max_size=9),
    cuts=st.sets(st.integers(0, 40), max_size=12),
)
def test_wherever_a_listings_tables_end_the_same_keys_are_left(runs, others, cuts):
    own = {run + name for run in runs for name in RUN}
    others = set() if runs == {""} else others
    keys = sorted(own | {folder + name for folder, name in others}, key=str.encode)
    is_planned = {key for key in keys if key.endswith("manifest/part-00000.parquet")}
    folders = {key[: -len("manifest/part-00000.parquet")] for key in is_planned}
    folders = {folder for folder in folders if folder + "plan.json" in keys}
    ends = sorted({*(cut for cut in cuts if cut < len(keys)), 0, len(keys)})
    tables = [pa.table({"key": pa.array(keys[start:end], pa.string())}) for start, end in pairwise(ends)]
    counts = LeftOutCounts()

    left = [key for table in without_runs(iter(tables), counts) for key in table["key"].to_pylist()]

    assert left == [key for key in keys if not any(key.startswith(folder) for folder in folders)]
    assert counts.count(OWN_RUNS) == len(keys) - len(left)
