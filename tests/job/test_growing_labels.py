"""Labels of files beside the source, of a run whose plan was broken off: all rows have theirs from the same content."""

import json

import pytest
from colours import write_images
from run_specs import make_spec, read_predictions, run_here

from job.errors import PlanChanged, SourceError
from job.plan import freeze as freezing
from job.plan.plan import run_paths
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
