"""Whole runs with `source.decode: scaled`: what the rows, the figures, the page and the run's id say."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from run_specs import make_spec, read_predictions, run_here

from job.plan.plan import run_paths


@pytest.fixture
def pictures(tmp_path):
    """Ten JPEGs that can be scaled, of a plain red; one that is too small, and a PNG."""
    folder = tmp_path / "images" / "red"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 40, (200, 300, 3), np.uint8) + np.array([160, 0, 0], np.uint8)
    for number in range(10):
        Image.fromarray(noise).save(folder / f"{number}.jpg", quality=85)
    Image.fromarray(noise[:40, :40]).save(folder / "small.jpg")
    Image.fromarray(noise).save(folder / "large.png")
    return tmp_path


def spec_of(folder, decode, **sections):
    source = {"uri": f"{folder}/images", "label_from": "directory", "decode": decode}
    return make_spec(folder, rows_per_file=100, source=source, **sections)


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_labels_of_a_sample_are_compared(pictures, engine):
    result = run_here(spec_of(pictures, "scaled"), engine)
    rows = {row["uri"].rpartition("/")[2]: row for row in read_predictions(result.paths).to_pylist()}
    assert {row["label"] for row in rows.values()} == {"red"}
    assert rows["0.jpg"]["image_notes"] == ["scaled", "scaled-agrees"]
    assert (rows["0.jpg"]["width"], rows["0.jpg"]["height"]) == (300, 200)
    assert rows["small.jpg"]["image_notes"] is rows["large.png"]["image_notes"] is None
    assert result.metrics.image_notes == {"scaled": 10, "scaled-agrees": 10}
    assert result.metrics.warnings == ()
    assert "scaled decoding: 100.0 % of 10 sampled images" in Path(result.uri, "report.html").read_text()


def test_a_run_of_scaled_images_is_another_run(pictures):
    exact = run_paths(make_spec(pictures, rows_per_file=100)).run_id
    assert run_paths(spec_of(pictures, "exact")).run_id == exact
    assert run_paths(spec_of(pictures, "scaled")).run_id != exact


def test_the_models_input_is_nearly_that_of_exact_decoding(pictures):
    scores = {}
    for decode in ("exact", "scaled"):
        result = run_here(spec_of(pictures, decode))
        scores[decode] = read_predictions(result.paths)["score"].to_pylist()
    assert scores["exact"] == pytest.approx(scores["scaled"], abs=0.02)
    assert scores["exact"] != scores["scaled"]
