"""A run's folder: its Parquet files are its predictions, and what an older version has planned goes on as it began."""

import json
from pathlib import Path

import datasets
import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from colours import LABELS, write_images
from run_specs import make_spec, read_predictions, run_here

from job.plan.paths import RunPaths
from job.results.verify import verify

BOXES = pa.list_(pa.list_(pa.float32(), 4))
OLDER_BOXES = pa.list_(pa.list_(pa.float32()))


@pytest.fixture
def spec(tmp_path):
    write_images(tmp_path / "images", count=12)
    model = {"kind": "python", "name": "colours:Boxes", "task": "detect"}
    return make_spec(tmp_path, rows_per_file=5, model=model)


def make_older(uri, keep_shards):
    """The folder as version 0.1 left it, with so many shards committed and the run not ended."""
    folder = Path(uri)
    plan = json.loads((folder / "plan.json").read_text())
    assert plan.pop("layout") == 2
    for number, part in enumerate(plan["parts"]):
        older = folder / RunPaths.of(uri).manifest_of_layout_1(number)
        (folder / part.pop("file")).rename(older)
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "_SUCCESS").unlink()
    for shard, file in enumerate(sorted((folder / "predictions").iterdir())):
        table = pq.read_table(file)
        file.unlink()
        if shard < keep_shards:
            boxes = table["boxes"].cast(OLDER_BOXES)
            place = table.column_names.index("boxes")
            pq.write_table(table.set_column(place, "boxes", boxes).drop_columns(["label_indices"]), file)


def test_each_box_has_its_classs_name_and_number(spec):
    table = read_predictions(run_here(spec).paths)
    assert table.schema.field("boxes").type.equals(BOXES)
    assert table["label_indices"].type == pa.list_(pa.int32())
    for row in table.to_pylist():
        assert [LABELS[index] for index in row["label_indices"]] == row["labels"] == [row["expected"]]


def test_every_parquet_file_of_a_run_is_of_predictions(spec):
    uri = run_here(spec).uri
    assert duckdb.sql(f"select count(*), count(distinct uri) from '{uri}/**/*.parquet'").fetchall() == [(12, 12)]
    assert pq.read_table(f"{uri}/manifest/part-00000.manifest").num_rows == 12


@pytest.mark.parametrize("keep_shards", [0, 1, 3])
def test_a_run_of_the_older_layout_goes_on_with_its_columns(spec, keep_shards):
    first = run_here(spec)
    make_older(first.uri, keep_shards)
    plan = json.loads(Path(first.uri, "plan.json").read_text())
    if keep_shards:  # those of an older version name no model
        plan["model"] = None
        Path(first.uri, "plan.json").write_text(json.dumps(plan))
    again = run_here(spec)
    assert again.rows == 12
    table = read_predictions(again.paths)
    assert "label_indices" not in table.column_names
    assert table.schema.field("boxes").type.equals(OLDER_BOXES)
    assert verify(again.uri).rows == 12
    assert not list(Path(again.uri, "manifest").glob("*.manifest"))


def with_pandas(uri):
    return pandas.concat([pandas.read_parquet(path) for path in Path(uri).rglob("*.parquet")])["boxes"]


READERS = {
    "pandas": with_pandas,
    "polars": lambda uri: polars.scan_parquet(f"{uri}/**/*.parquet").collect()["boxes"].to_list(),
    "DuckDB": lambda uri: [row[0] for row in duckdb.sql(f"select boxes from '{uri}/**/*.parquet'").fetchall()],
    "datasets": lambda uri: datasets.load_dataset(
        "parquet", data_files=f"{uri}/**/*.parquet", split="train", cache_dir=f"{uri}/../cache"
    )["boxes"][:],
}


@pytest.mark.parametrize("reader", sorted(READERS))
def test_readers_agree_on_boxes(spec, reader):
    """Daft 0.7 and Spark 4.3, which are not among the tests' packages, were tried by hand, and agree."""
    images = Path(spec.source.uri)
    (images / "red" / "bad.png").write_bytes(b"no image")
    spec = spec.model_copy(update={"errors": spec.errors.model_copy(update={"max_fraction": 0.5})})
    result = run_here(spec)
    expected = read_predictions(result.paths)["boxes"].to_pylist()
    found = [
        None if boxes is None else [list(map(float, box)) for box in boxes] for boxes in READERS[reader](result.uri)
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert None in expected
