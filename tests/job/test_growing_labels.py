"""Labels of files beside the source, of a run whose plan was broken off: all rows have theirs from the same content."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from colours import write_images
from run_specs import make_spec, read_predictions, run_here

from job.errors import PlanChanged, SourceError
from job.plan import freeze as freezing
from job.plan.freeze import Freezer
from job.plan.plan import run_paths
from job.sources.parquet.parquet_source import ParquetReader
from job.sources.source import Source


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(freezing, "FIRST_PART_ROWS", 20)
    monkeypatch.setattr(freezing, "PART_ROWS", 40)


def label_file(folder, labels):
    (folder / "labels.csv").write_text("file_name,label\n" + "".join(f"{name},{labels[name]}\n" for name in labels))
    return {"label_file": str(folder / "labels.csv")}


def label_names(folder, names):
    (folder / "names.json").write_text(json.dumps(names))
    return {"label_from": "directory", "label_names": str(folder / "names.json")}


def test_a_label_file_that_was_mended_is_not_for_the_rows_to_come_alone(tmp_path):
    write_images(tmp_path / "images", 150)
    images = sorted((tmp_path / "images").rglob("*.png"))
    source = {"uri": f"{tmp_path}/images", **label_file(tmp_path, {"nothing.png": "red"})}
    spec = make_spec(tmp_path, source=source)
    with pytest.raises(SourceError, match="names an image of the source"):
        run_here(spec)
    label_file(tmp_path, {str(path): path.parent.name for path in images})
    with pytest.raises(PlanChanged, match=r"another content of source.label_file .* give the new one another --run-id"):
        run_here(spec)
    run_here(spec, run_id="mended")
    rows = read_predictions(run_paths(spec, "mended"))
    assert rows["expected"].to_pylist() == [path.parent.name for path in images]


def test_names_of_labels_that_were_changed_while_no_driver_listed_are_refused(tmp_path, monkeypatch):
    write_images(tmp_path / "images", 150)
    source = {"uri": f"{tmp_path}/images", **label_names(tmp_path, {"red": "rot"})}
    spec = make_spec(tmp_path, source=source)
    list_images = Source.list

    def broken_off(self, *names):
        for table in list_images(self, *names):
            yield table.slice(0, 70)
            raise SourceError("the store went away")

    with monkeypatch.context() as patch:
        patch.setattr(Source, "list", broken_off)
        with pytest.raises(Exception, match="went away"):
            run_here(spec)
    label_names(tmp_path, {"red": "rouge"})
    with pytest.raises(PlanChanged, match=r"source.label_names; put it back"):
        run_here(spec)
    label_names(tmp_path, {"red": "rot"})
    assert run_here(spec).rows == 150
    assert set(read_predictions(run_paths(spec))["expected"].to_pylist()) == {"rot", "green", "blue"}


def label_column(folder, labels):
    images = sorted((folder / "images").rglob("*.png"))
    table = pa.table({"picture": [path.read_bytes() for path in images], "class": pa.array(labels, pa.string())})
    pq.write_table(table, folder / "x.parquet")
    source = {"kind": "parquet", "uri": str(folder / "x.parquet"), "image_column": "picture", "label_from": "class"}
    return make_spec(folder, source=source)


def in_small_tables(rows):
    def listed(self, left_out):
        for table in rows(self, left_out):
            yield from (table.slice(start, 10) for start in range(0, table.num_rows, 10))

    return listed


def test_a_column_without_a_label_is_told_before_an_image_is_read(tmp_path):
    write_images(tmp_path / "images", 150)
    spec = label_column(tmp_path, [None] * 150)
    with pytest.raises(SourceError, match="'class' has no label in any of 150 rows"):
        run_here(spec)
    assert not list(tmp_path.glob("runs/*/predictions"))


@pytest.mark.parametrize(("first", "listed"), [(0, 20), (70, 100), (149, 150)])
def test_a_run_with_labels_begins_once_one_is_found(tmp_path, monkeypatch, first, listed):
    write_images(tmp_path / "images", 150)
    spec = label_column(tmp_path, [None] * first + ["red"] + [None] * (149 - first))
    begun = []

    def so_far(self):
        begun.append(self.chain.so_far().images)
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(ParquetReader, "rows", in_small_tables(ParquetReader.rows))
        patch.setattr(Freezer, "so_far", so_far)
        if listed < 150:
            with pytest.raises(SystemExit):
                run_here(spec)
            with pytest.raises(SystemExit):
                run_here(spec)
            assert begun == [listed, listed]
    assert run_here(spec).rows == 150
    assert read_predictions(run_paths(spec))["expected"].null_count == 149
