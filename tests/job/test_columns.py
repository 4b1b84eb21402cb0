"""The columns' names against real runs of every source and task: what is written is what a kept column cannot be."""

import io
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from colours import make_image
from run_specs import make_spec, run_here

from job.plan.manifest import Manifest
from job.plan.records import load_plan
from job.spec.columns import CARRIED, CROP, HIDDEN, LISTED, OFFSET, PLACE, PREDICTED, RESERVED
from job.stores.storage import open_folder

IMAGES = {f"{colour}-{number}.png": make_image(colour, number) for colour in ("red", "blue") for number in range(2)}


def write_files(folder):
    for name, data in IMAGES.items():
        (folder / name).write_bytes(data)
    return {"uri": str(folder)}


def write_parquet(folder):
    pq.write_table(pa.table({"image": list(IMAGES.values()), "sku": range(4)}), folder / "images.parquet")
    return {"kind": "parquet", "uri": str(folder), "keep": ["sku"]}


def write_uris(folder):
    write_files(folder)
    pq.write_table(pa.table({"url": list(IMAGES), "sku": range(4)}), folder / "list.parquet")
    return {"kind": "parquet", "uri": str(folder / "list.parquet"), "uri_column": "url", "keep": ["sku"]}


def write_list(folder):
    write_files(folder)
    (folder / "metadata.csv").write_text("file_name,sku\n" + "".join(f"{name},1\n" for name in IMAGES))
    return {"kind": "list", "uri": str(folder / "metadata.csv"), "keep": ["sku"]}


def write_tar(folder):
    with tarfile.open(folder / "images.tar", "w") as archive:
        for name, data in IMAGES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return {"kind": "webdataset", "uri": str(folder)}


def write_run(folder):
    earlier = make_spec(folder, source=write_parquet(folder), name="earlier")
    return {"kind": "run", "uri": run_here(earlier).uri, "keep": ["sku", "label"]}


DETECTOR = {"kind": "python", "name": "colours:Boxes", "task": "detect"}
SOURCES = {
    "files": write_files,
    "parquet": write_parquet,
    "uris": write_uris,
    "list": write_list,
    "webdataset": write_tar,
    "run": write_run,
}


def columns_of(tmp_path, source, task):
    """The manifest's and the predictions' columns of a run."""
    folder = tmp_path / source
    folder.mkdir()
    model = {"kind": "python", "name": "colours:make" if task == "classify" else "colours:Boxes", "task": task}
    return columns_of_run(
        run_here(make_spec(tmp_path, source=SOURCES[source](folder), model=model, name=f"{source}-{task}"))
    )


def columns_of_run(run):
    paths = run.paths
    plan = load_plan(open_folder(paths.uri))
    predictions = pq.read_table(f"{paths.uri}/{paths.predictions(0)}")
    return Manifest(paths, plan.parts).rows(0).column_names, predictions.column_names


@pytest.mark.parametrize("task", PREDICTED)
@pytest.mark.parametrize("source", SOURCES)
def test_a_run_writes_these_columns_in_this_order(tmp_path, source, task):
    manifest, predictions = columns_of(tmp_path, source, task)
    kept = {"parquet": ["sku"], "uris": ["sku"], "list": ["sku"], "run": ["sku", "source_label"]}.get(source, [])
    offset = [OFFSET] if source in ("parquet", "webdataset", "run") else []
    assert manifest == [*PLACE, *LISTED, *offset, *kept]
    own = [name for name in CARRIED if name not in HIDDEN]
    assert predictions == [*(name for name in LISTED if name not in HIDDEN), *kept, *own, *PREDICTED[task]]
    assert {*manifest, *predictions} - {*kept} <= RESERVED


def test_crops_have_these_columns(tmp_path):
    earlier = make_spec(tmp_path, source=write_parquet(tmp_path), name="earlier", model=DETECTOR)
    source = {"kind": "run", "uri": run_here(earlier).uri, "crops": True, "keep": ["sku", "label", "box"]}
    manifest, predictions = columns_of_run(run_here(make_spec(tmp_path, source=source, name="crops")))
    kept = ["sku", "source_label", "source_box"]
    assert manifest == [*PLACE, *LISTED, OFFSET, *CROP, *kept]
    own = [name for name in CARRIED if name not in HIDDEN]
    assert predictions == ["uri", "expected", *kept, *own, *PREDICTED["classify"]]


def test_every_reserved_name_is_one_that_some_run_writes(tmp_path):
    written = {
        name
        for source, task in (("webdataset", "classify"), ("parquet", "detect"))
        for names in columns_of(tmp_path, source, task)
        for name in names
    }
    assert written - {"sku"} == RESERVED - {*CROP}
