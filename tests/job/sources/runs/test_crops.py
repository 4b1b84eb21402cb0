"""Boxes of a complete detection as images of the next run: each once, with the pixels that the box was found in."""

import io

import numpy as np
import pyarrow as pa
import pytest
from colours import make_image
from image_sources import write_files, write_parquet, write_tar
from PIL import Image, ImageOps
from run_specs import make_spec, read_predictions, run_here
from sources import outcome, rows_of

from job.errors import SourceError
from job.plan.chunks import Chunk
from job.plan.manifest import Manifest
from job.plan.records import load_plan
from job.recipe import Exactly, Recipe
from job.report.publish import thumbnails
from job.report.sampled_rows import to_sampled_row
from job.results.preview import preview
from job.sources.open_source import open_source
from job.sources.runs.box_rows import FAILED as FAILED_IMAGES
from job.sources.runs.box_rows import NO_BOX, NO_PIXEL, crop_boxes
from job.sources.runs.finished_run import BOX_NOT_CHOSEN
from job.spec.columns import CROP
from job.spec.limits import Limits
from job.spec.spec import RunSource
from job.stages import decoded
from job.stages.decode import DecodeStage
from job.stages.images import read_image
from job.stages.pixel_budget import PixelBudget
from job.stores.storage import open_folder

LIMITS = Limits(10**9, 10**6)
DETECTOR = {"kind": "python", "name": "boxes:Many", "task": "detect", "score_threshold": 0.0}


def detect(tmp_path, write=write_files, **sections):
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    return run_here(
        make_spec(tmp_path, rows_per_file=7, source=write(folder), model=DETECTOR, name="boxes", **sections)
    )


def classify(tmp_path, run, source=None, **sections):
    source = {"kind": "run", "uri": run.uri, "crops": True, **(source or {})}
    return make_spec(tmp_path, name="second", rows_per_file=10, source=source, **sections)


def xywh_of(box, width, height):
    """Rounded outward and clipped, as a person would."""
    left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    return left, top, min(width, int(np.ceil(box[2]))) - left, min(height, int(np.ceil(box[3]))) - top


def named_pixels(run, recipe, block_images=8):
    """Of each row of a run's manifest its URI and what decoding gives, however its rows are cut into chunks."""
    manifest, spec = Manifest(run.paths, load_plan(open_folder(run.uri)).parts), load_plan(open_folder(run.uri)).spec
    source = RunSource.model_validate(spec["source"])
    stage = DecodeStage(manifest, source, LIMITS, recipe, 2, block_images)
    found = []
    for shard in range(load_plan(open_folder(run.uri)).shards):
        rows = manifest.rows(shard)
        pixels = {}
        for table in stage(Chunk(shard, 0, rows.num_rows)):
            assert table["error"].null_count == table.num_rows
            for batch in table.combine_chunks().to_batches():
                images = decoded.all_pixels(batch, recipe.size)
                pixels.update(zip(batch["row"].to_pylist(), images, strict=True))
        assert sorted(pixels) == list(range(rows.num_rows))
        found += [(uri, pixels[row]) for row, uri in enumerate(rows["uri"].to_pylist())]
    return found


def upright(data):
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(Exactly(9, 7), interpolation="nearest")], ids=["own", "fixed"])
@pytest.mark.parametrize("write", [write_files, write_parquet, write_tar])
def test_each_box_is_a_row_of_the_pixels_that_pillow_crops(tmp_path, write, recipe):
    first = detect(tmp_path, write)
    boxes = read_predictions(first.paths)
    second = run_here(classify(tmp_path, first))
    plain = open_source(RunSource(kind="run", uri=first.uri), LIMITS)
    pictures = [upright(handle()) for handle in plain.read(rows_of(plain))]

    expected = []
    for row, picture in zip(boxes.to_pylist(), pictures, strict=True):
        for box in row["boxes"]:
            x, y, w, h = xywh_of(box, *picture.size)
            if w > 0 and h > 0 and box[2] > box[0] and box[3] > box[1]:
                crop = np.asarray(picture.crop((x, y, x + w, y + h)))
                expected.append((f"{row['uri']}#xywh={x},{y},{w},{h}", crop))
    rows = read_predictions(second.paths)
    assert rows["uri"].to_pylist() == [uri for uri, _ in expected]
    assert rows["error"].null_count == rows.num_rows > 2 * len(pictures)
    assert list(zip(rows["height"].to_pylist(), rows["width"].to_pylist(), strict=True)) == [
        crop.shape[:2] for _, crop in expected
    ]
    for found, (uri, crop) in zip(named_pixels(second, recipe), expected, strict=True):
        assert found[0] == uri
        np.testing.assert_array_equal(found[1], recipe.apply(np.ascontiguousarray(crop)))
    counts = {each.kind: each.count for each in second.success.left_out}
    odd = [box for row in boxes["boxes"].to_pylist() for box in row]
    assert counts == {NO_PIXEL: len(odd) - len(expected)}


def test_a_picture_is_decoded_once_for_its_boxes(tmp_path, monkeypatch):
    first = detect(tmp_path)
    second = run_here(classify(tmp_path, first))
    seen = []
    monkeypatch.setattr(
        "job.stages.decode.read_image", lambda data, *rest: seen.append(data) or read_image(data, *rest)
    )
    recipe = Recipe(Exactly(9, 7))
    whole = named_pixels(second, recipe, block_images=100)
    assert len(seen) < len(whole) / 2
    for block_images in (1, 3):  # a block that is full leaves the picture's other boxes to the next
        for (uri, pixels), (again, same) in zip(whole, named_pixels(second, recipe, block_images), strict=True):
            assert uri == again
            np.testing.assert_array_equal(pixels, same)


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(Exactly(9, 7))], ids=["own", "fixed"])
@pytest.mark.parametrize("total", [1, 30_000, pytest.param(1 << 20, marks=pytest.mark.slow)])
def test_memory_for_crops_is_taken_and_given_back(tmp_path, monkeypatch, recipe, total):
    second = run_here(classify(tmp_path, detect(tmp_path)))
    whole = named_pixels(second, recipe)
    budget = PixelBudget(total)
    monkeypatch.setattr("job.stages.decode.process_budget", lambda share: budget)
    for (uri, pixels), (again, same) in zip(whole, named_pixels(second, recipe), strict=True):
        assert uri == again
        np.testing.assert_array_equal(pixels, same)
    assert budget.held == 0


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(Exactly(9, 7))], ids=["own", "fixed"])
def test_crops_of_a_chunk_that_a_process_died_at(tmp_path, die_at_chunk, recipe):
    """In a process of its own, and turned as before."""
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(io.BytesIO(make_image("red"))).save(tmp_path / "in/a.png", exif=exif)
    (tmp_path / "in/b.png").write_bytes(make_image("blue"))
    first = detect(tmp_path, lambda folder: {"uri": str(folder), "orientation": "apply"})
    second = run_here(classify(tmp_path, first))
    before = named_pixels(second, recipe)
    die_at_chunk(second.paths.run_id, 0, 0, len(before))
    for (uri, pixels), (again, same) in zip(before, named_pixels(second, recipe), strict=True):
        assert uri == again
        np.testing.assert_array_equal(pixels, same)


def test_a_picture_that_fails_is_a_row_with_an_error_for_each_box(tmp_path):
    """Also where a block ends in the middle of its boxes."""
    second = run_here(classify(tmp_path, detect(tmp_path)))
    (tmp_path / "in/01.png").unlink()
    plan = load_plan(open_folder(second.uri))
    rows = Manifest(second.paths, plan.parts).rows(0)
    gone = [f"{tmp_path}/in/01.png#" in uri for uri in rows["uri"].to_pylist()]
    assert sum(gone) > 2
    for block_images in (1, 3, 100):
        source = RunSource.model_validate(plan.spec["source"])
        manifest = Manifest(second.paths, plan.parts)
        stage = DecodeStage(manifest, source, LIMITS, Recipe(Exactly(9, 7)), 2, block_images)
        found = pa.concat_tables(stage(Chunk(0, 0, rows.num_rows))).sort_by("row")
        assert [(error or "").startswith("missing") for error in found["error"].to_pylist()] == gone


def test_crops_count_from_the_picture_the_way_up_that_it_was_read(tmp_path):
    """Run by run: one detector turns pictures upright, the other leaves them, and the next model has its own wish."""
    (tmp_path / "in").mkdir()
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[2:9, 50:58] = (250, 250, 10)
    for value in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = value
        Image.fromarray(pixels).save(tmp_path / f"in/{value}.png", exif=exif)
    for model in ("Corner", "KeptCorner"):
        detector = {"kind": "python", "name": f"corners:{model}", "task": "detect"}
        first = run_here(make_spec(tmp_path, name="first", source={"uri": f"{tmp_path}/in"}, model=detector))
        second = run_here(classify(tmp_path, first))
        rows = read_predictions(second.paths)
        note = "orientation-applied" if model == "Corner" else "orientation-kept"
        assert rows["image_notes"].to_pylist() == [None, *[[note]] * 7]
        assert rows.num_rows == 8
        for _, found in named_pixels(second, Recipe()):
            assert sorted(found.shape) == [3, 7, 8]
            assert (found == (250, 250, 10)).all()
        spec = classify(tmp_path, first)
        manifest = Manifest(second.paths, load_plan(open_folder(second.uri)).parts)
        sampled = [to_sampled_row({**row, "shard": 0, "row": n}) for n, row in enumerate(rows.to_pylist())]
        pictures = thumbnails(spec, manifest, sampled)
        assert len(pictures) == 8
        for sample in sampled:
            drawn = np.asarray(Image.open(io.BytesIO(pictures[sample.key])).convert("RGB")).astype(int)
            assert drawn.shape == (sample.height, sample.width, 3)
            assert abs(drawn - (250, 250, 10)).max() < 30


def test_a_condition_speaks_of_a_box_and_of_its_image(tmp_path):
    first = detect(tmp_path, write_parquet)
    found = read_predictions(first.paths).to_pylist()
    source = {
        "where": "label = 'red' and score >= 0.5 and len(boxes) > 2 and sku <> 's3' and box[1] >= 0",
        "keep": ["sku", "label", "score", "label_index", "box"],
        "label_from": "label",
    }
    second = run_here(classify(tmp_path, first, source))
    rows = read_predictions(second.paths).to_pylist()
    wanted = [
        (row["sku"], box, score, index)
        for row in found
        for box, label, score, index in zip(
            row["boxes"], row["labels"], row["scores"], row["label_indices"], strict=True
        )
        if label == "red" and score >= 0.5 and row["sku"] != "s3" and box[0] >= 0 and box[2] > box[0]
    ]
    assert 0 < len(wanted) < sum(len(row["boxes"]) for row in found) / 2
    assert [(row["sku"], row["source_box"], row["source_score"], row["source_label_index"]) for row in rows] == wanted
    assert {row["source_label"] for row in rows} == {row["expected"] for row in rows} == {"red"}
    assert BOX_NOT_CHOSEN in {each.kind for each in second.success.left_out}


def test_images_without_boxes_are_counted(tmp_path):
    (tmp_path / "in").mkdir()
    source = write_files(tmp_path / "in")
    (tmp_path / "in/05.png").write_bytes(b"no image")
    Image.new("RGB", (30, 30)).save(tmp_path / "in/black.png")  # in which the detector finds nothing
    first = detect(tmp_path, lambda folder: source, errors={"max_fraction": 1.0})
    seen = preview(classify(tmp_path, first), None)
    assert {(each.kind, each.count, each.example) for each in seen.left_out if each.kind != NO_PIXEL} == {
        (FAILED_IMAGES, 1, f"{tmp_path}/in/05.png"),
        (NO_BOX, 1, f"{tmp_path}/in/black.png"),
    }
    assert seen.bytes is None  # a crop has no size of its own


def test_a_run_that_found_nothing_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    for name in range(9):
        Image.new("RGB", (30, 30)).save(tmp_path / f"in/{name}.png")
    first = detect(tmp_path, lambda folder: {"uri": str(folder)})
    with pytest.raises(SourceError, match=r"source\.uri: the run .* has no boxes$"):
        preview(classify(tmp_path, first), None)


def test_a_run_is_resumed(tmp_path):
    first = detect(tmp_path)
    second = run_here(classify(tmp_path, first))
    before = read_predictions(second.paths)
    for name in ("_SUCCESS", "predictions/shard-00001.parquet"):
        (tmp_path / second.uri / name).unlink()
    again = run_here(classify(tmp_path, first))
    assert again.uri == second.uri
    assert read_predictions(again.paths).equals(before)


def test_crops_of_crops_and_runs_of_them(tmp_path):
    first = detect(tmp_path)
    source = {"kind": "run", "uri": first.uri, "crops": True, "where": "score >= 0.5"}
    second = run_here(make_spec(tmp_path, name="again", source=source, model=DETECTOR))
    inner = read_predictions(second.paths)
    # The same images, cut as before.
    third = run_here(make_spec(tmp_path, name="third", source={"kind": "run", "uri": second.uri}))
    assert read_predictions(third.paths)["uri"].equals(inner["uri"])
    for (uri, pixels), (same, again) in zip(named_pixels(third, Recipe()), named_pixels(second, Recipe()), strict=True):
        assert uri == same
        np.testing.assert_array_equal(pixels, again)
    # A box of a crop is the pixels that it has of the crop, and its place counts from the picture.
    expected = []
    for row, (_, pixels) in zip(inner.to_pylist(), named_pixels(second, Recipe()), strict=True):
        assert pixels.shape[:2] == (row["height"], row["width"])
        places = [xywh_of(box, row["width"], row["height"]) for box in row["boxes"]]
        expected += [pixels[y : y + h, x : x + w] for x, y, w, h in places[:-2]]
    fourth = named_pixels(run_here(classify(tmp_path, second)), Recipe())
    for (uri, pixels), wanted in zip(fourth, expected, strict=True):
        np.testing.assert_array_equal(pixels, wanted)
        path, _, place = uri.partition("#xywh=")
        x, y, w, h = map(int, place.split(","))
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(path).convert("RGB"))[y : y + h, x : x + w])
    with pytest.raises(SourceError, match=r"source\.orientation: leave it out: the images of this run are crops"):
        rows_of(open_source(RunSource(kind="run", uri=second.uri, orientation="keep"), LIMITS))


def test_names_that_look_like_crops_stay(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png#xywh=1,2,3,4.png").write_bytes(make_image("red"))
    (tmp_path / "in/b.png#xywh=1,2,3,4").write_bytes(make_image("blue"))
    first = detect(tmp_path, lambda folder: {"uri": str(folder), "suffixes": ["any"]})
    source = open_source(RunSource(kind="run", uri=first.uri, crops=True), LIMITS)
    rows = rows_of(source)
    assert {outcome(handle) for handle in source.read(rows)} == {make_image("red"), make_image("blue")}


def test_a_classification_has_no_boxes(tmp_path):
    (tmp_path / "in").mkdir()
    first = run_here(make_spec(tmp_path, source=write_files(tmp_path / "in")))
    with pytest.raises(SourceError, match="has no boxes, its task is classify; leave crops out"):
        preview(classify(tmp_path, first), None)
    boxes = detect(tmp_path)
    with pytest.raises(SourceError, match="has no boxes of which 'score > 2' is true"):
        preview(classify(tmp_path, boxes, {"where": "score > 2"}), None)
    with pytest.raises(SourceError, match="there is no column lable; did you mean label"):
        preview(classify(tmp_path, boxes, {"where": "lable = 'x'"}), None)


def test_an_image_that_shrank_since_is_a_row_with_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    first = detect(tmp_path)
    for path in (tmp_path / "in").iterdir():
        path.write_bytes(b"x")
    second = run_here(classify(tmp_path, first, errors={"max_fraction": 1.0}))
    errors = read_predictions(second.paths)["error"].to_pylist()
    assert {error.partition(":")[0] for error in errors} == {"changed"}


@pytest.mark.parametrize(
    ("box", "xywh"),
    [
        ([0, 0, 10, 20], [0, 0, 10, 20]),
        ([0.5, 1.999, 2.001, 3], [0, 1, 3, 2]),
        ([-5, -5, 3, 3], [0, 0, 3, 3]),
        ([8, 18, 100, 1e30], [8, 18, 2, 2]),
        ([3.5, 3.2, 3.6, 3.3], [3, 3, 1, 1]),
        ([-1e30, 0, float("inf"), 20], [0, 0, 10, 20]),
        ([3, 3, 3, 9], None),
        ([3.5, 3, 3.5, 9], None),
        ([5, 5, 2, 9], None),
        ([10, 0, 12, 5], None),
        ([-3, -3, 0, 0], None),
        ([float("nan"), 0, 5, 5], None),
        ([0, 0, 5, float("nan")], None),
    ],
)
@pytest.mark.parametrize("four", [pa.list_(pa.float32(), 4), pa.list_(pa.float32())])
def test_odd_boxes(box, xywh, four):
    """Of runs that older versions left too, without a fixed size and notes."""
    listed = pa.table({"uri": ["a"], "size": [1]})
    boxes = pa.table(
        {"box": pa.array([box], four), "width": pa.array([10], pa.int32()), "height": pa.array([20], pa.int32())}
    )
    crops = crop_boxes(listed, boxes)
    assert crops[CROP[1]].to_pylist() == ["Pillow"]
    found = crops[CROP[0]][0].as_py()
    if xywh is None:
        assert not found[2] or not found[3]
    else:
        assert found == xywh
