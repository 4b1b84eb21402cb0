"""Whole runs over images that are stored turned, deep, or of the later formats: what the rows, figures and page say."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from colours import make_image
from PIL import Image, ImageOps
from run_specs import make_spec, read_predictions, run_here

from job.models.load import load_recipe
from job.plan.manifest import Manifest
from job.plan.records import load_plan
from job.report.publish import thumbnails
from job.report.report import Report
from job.results.run_listing import committed_shards
from job.results.run_summary import RunSummary
from job.spec.spec import ModelSpec
from job.stores.storage import open_folder

VALUES = range(1, 9)


def corner_picture(value, kind):
    """A dark picture 40 wide and 24 high whose corner at the upper left is bright, stored turned by `value`."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:5, :9] = 255
    undo = {6: 8, 8: 6}.get(value, value)
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = undo
    stored = ImageOps.exif_transpose(picture)
    exif = Image.Exif()
    exif[0x0112] = value
    buffer = BytesIO()
    options = {"tiffinfo": {0x0112: value}} if kind == "TIFF" else {"exif": exif}
    stored.save(buffer, kind, **options)
    return buffer.getvalue()


KINDS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "AVIF": "avif"}


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "images").mkdir()
    for kind, suffix in KINDS.items():
        for value in VALUES:
            (tmp_path / "images" / f"{value}.{suffix}").write_bytes(corner_picture(value, kind))
    return tmp_path


def run_spec(folder, factory, **source):
    source = {"uri": f"{folder}/images", **source}
    model = {"kind": "python", "name": f"corners:{factory}", "task": "detect"}
    return make_spec(folder, source=source, model=model, name=factory.lower())


def run_with(folder, factory, **source):
    result = run_here(run_spec(folder, factory, **source))
    return result, read_predictions(result.paths).to_pylist()


@pytest.mark.parametrize(("factory", "wish"), [("Corner", "auto"), ("KeptCorner", "apply")])
def test_boxes_and_sizes_are_those_of_the_upright_image(pictures, factory, wish):
    result, rows = run_with(pictures, factory, orientation=wish)
    assert len(rows) == 40
    for row in rows:
        assert (row["error"], row["width"], row["height"]) == (None, 40, 24), row["uri"]
        assert np.abs(np.array(row["boxes"][0]) - [0, 0, 9, 5]).max() <= 2, row["uri"]
    assert result.metrics.image_notes == {"orientation-applied": 35}
    assert result.metrics.warnings == ()
    assert "35 images stored turned, read upright" in Path(result.uri, "report.html").read_text()


@pytest.mark.parametrize(("factory", "wish"), [("KeptCorner", "auto"), ("Corner", "keep")])
def test_kept_they_are_those_of_the_stored_image_and_the_run_warns(pictures, factory, wish):
    result, rows = run_with(pictures, factory, orientation=wish)
    for row in rows:
        value = int(row["uri"].rpartition("/")[2][0])
        assert (row["width"], row["height"]) == ((24, 40) if value > 4 else (40, 24)), row["uri"]
        assert row["image_notes"] == (["orientation-kept"] if value > 1 else None)
    assert result.metrics.image_notes == {"orientation-kept": 35}
    assert "source.orientation: apply turns them upright" in result.metrics.warnings[0]
    assert "are stored turned" in Path(result.uri, "report.html").read_text()


@pytest.mark.parametrize("wish", ["apply", "keep"])
def test_the_pages_pictures_are_the_way_up_that_boxes_were_found_on(pictures, wish):
    result, _ = run_with(pictures, "Corner", orientation=wish)
    spec, folder = run_spec(pictures, "Corner", orientation=wish), open_folder(result.uri)
    plan = load_plan(folder)
    report = Report("detect", 40, plan.run_id)
    summary = RunSummary(spec, plan, folder, report.add)
    summary.add_committed(committed_shards(folder, result.paths, plan))
    drawn = thumbnails(spec, Manifest(result.paths, plan.parts), report.sampled())
    assert len(drawn) == 40
    for sample in report.sampled():
        with Image.open(BytesIO(drawn[sample.key])) as picture:
            assert picture.size == (sample.width, sample.height), sample.uri


def test_a_resumed_run_counts_all_of_its_images(pictures, monkeypatch):
    result, rows = run_with(pictures, "Corner")
    folder = pictures / "runs" / result.paths.run_id
    (folder / "_SUCCESS").unlink()
    (folder / result.paths.predictions(3)).unlink()
    again, rows_again = run_with(pictures, "Corner")
    assert again.metrics == result.metrics
    assert rows_again == rows


def test_a_run_that_an_older_version_planned_goes_on_as_it_began(pictures):
    """It turned nothing but TIFF and wrote no notes; mixed columns could not be collected."""
    result, _ = run_with(pictures, "Corner")
    folder = Path(result.uri)
    plan = json.loads((folder / "plan.json").read_text())
    del plan["spec"]["source"]["orientation"], plan["spec"]["source"]["depth"]
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "_SUCCESS").unlink()
    for file in (folder / "predictions").iterdir():
        file.unlink()
    again, rows = run_with(pictures, "Corner")
    assert again.paths == result.paths
    assert "image_notes" not in rows[0]
    assert {(row["width"], row["height"]) for row in rows if "/6." in row["uri"]} == {(24, 40), (40, 24)}
    assert {row["uri"][-3:] for row in rows if "/6." in row["uri"] and row["width"] == 40} == {"tif"}


def test_deep_images_are_warned_of_and_right_when_scaled(tmp_path):
    (tmp_path / "images").mkdir()
    with Image.open(BytesIO(make_image("red"))) as image:
        grey = np.asarray(image.convert("L")).astype(np.uint16) << 8
    Image.fromarray(grey).save(tmp_path / "images" / "deep.png")
    means = {}
    for depth in ("clip", "scale"):
        source = {"uri": f"{tmp_path}/images", "depth": depth}
        result = run_here(make_spec(tmp_path, source=source, name=depth))
        means[depth] = result.metrics.warnings
    assert "1 image of 16 or 32 bits or floats was cut off at 255" in means["clip"][0]
    assert means["scale"] == ()


def test_what_is_listed_by_default_has_the_later_formats(tmp_path):
    (tmp_path / "images").mkdir()
    for kind, suffix in (("AVIF", "avif"), ("JPEG2000", "jp2"), ("JPEG2000", "j2k")):
        with Image.open(BytesIO(make_image("red"))) as image:
            image.save(tmp_path / "images" / f"a.{suffix}", kind)
    result = run_here(make_spec(tmp_path, source={"uri": f"{tmp_path}/images"}))
    table = read_predictions(result.paths)
    assert table["label"].to_pylist() == ["red"] * 3
    file = pq.read_schema(f"{result.uri}/{result.paths.predictions(0)}")
    assert str(file.field("image_notes").type) == "list<element: string>"


def test_torchvisions_recipes_leave_orientation_to_pillow():
    for name, task in (("resnet18", "classify"), ("ssd300_vgg16", "detect")):
        spec = ModelSpec(kind="torchvision", name=name, task=task, weights="none")
        assert load_recipe(spec).orientation == "Pillow"
