"""The demo's pictures and models: drawing repeats itself, sets have their layout, weights know the classes."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from transformers import ViTForImageClassification, ViTImageProcessor

from scripts.demo.arrays import DetectedArrays, draw_detected
from scripts.demo.detection import FOUND, draw_detection, draw_detection_set, picture_name
from scripts.demo.images import LARGEST, draw_image, draw_image_set, image_path
from scripts.demo.motifs import CLASSES
from scripts.demo.train import WEIGHTS
from scripts.demo.train_classifier import ARCHITECTURE as CLASSIFIER
from scripts.demo.train_detector import ARCHITECTURE as DETECTOR
from scripts.demo.train_detector import LABELS, count_found

FRESH_SEED = 1  # the models were trained and scored on pictures of seed 0
FRESH_COUNT = 100


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("images")
    draw_image_set(out, "val", 40)
    return out


@pytest.fixture(scope="module")
def fresh_pictures() -> list[Image.Image]:
    return [_open(draw_image(FRESH_SEED, "val", index)[0]) for index in range(FRESH_COUNT)]


def test_a_picture_depends_on_seed_split_and_index_alone(image_set: Path) -> None:
    again, _ = draw_image(0, "val", 17)
    others = [draw_image(1, "val", 17)[0], draw_image(0, "train", 17)[0], draw_image(0, "val", 27)[0]]

    assert (image_set / image_path("val", 17)).read_bytes() == again
    assert len({again, *others}) == 4


def test_an_image_set_has_the_layout_of_imagenette(image_set: Path) -> None:
    files = [file for file in (image_set / "val").rglob("*") if file.is_file()]
    labels = json.loads((image_set / "labels.json").read_text())

    assert sorted(folder.name for folder in (image_set / "val").iterdir()) == sorted(labels)
    assert labels["n01440764"] == "tench"
    assert labels["n03888257"] == "parachute"
    assert {file.suffix for file in files} == {".JPEG"}
    assert [len(list((image_set / "val" / wordnet_id).iterdir())) for wordnet_id in labels] == [4] * 10


def test_pictures_are_whole_jpeg_files_of_many_sizes(image_set: Path) -> None:
    sizes = []
    for file in (image_set / "val").rglob("*.JPEG"):
        picture = Image.open(file)
        picture.load()
        assert picture.format == "JPEG"
        assert min(picture.size) >= 200
        assert max(picture.size) <= LARGEST
        sizes.append(picture.size)
    assert len(set(sizes)) > 8


def test_a_complete_set_is_left_alone_and_a_smaller_one_drops_the_surplus(tmp_path: Path) -> None:
    draw_image_set(tmp_path, "val", 20)
    first, last = tmp_path / image_path("val", 0), tmp_path / image_path("val", 19)
    first.write_bytes(b"touched by hand")
    mine = last.with_name("mine.JPEG")
    mine.write_bytes(b"not of the set")

    draw_image_set(tmp_path, "val", 20)
    assert first.read_bytes() == b"touched by hand"

    draw_image_set(tmp_path, "val", 10)
    assert first.read_bytes() == draw_image(0, "val", 0)[0]
    assert not last.exists()
    assert mine.exists()


def test_a_set_cut_short_is_drawn_again(tmp_path: Path) -> None:
    draw_image_set(tmp_path, "val", 10)
    (tmp_path / "val-complete.json").unlink()
    (tmp_path / image_path("val", 3)).unlink()

    draw_image_set(tmp_path, "val", 10)
    assert (tmp_path / image_path("val", 3)).exists()


def test_a_detection_set_tells_the_box_of_every_thing(tmp_path: Path) -> None:
    draw_detection_set(tmp_path, "val", 20)
    truths = json.loads((tmp_path / "val-boxes.json").read_text())

    assert sorted(truths) == sorted(file.name for file in (tmp_path / "val").iterdir())
    for name, truth in truths.items():
        width, height = Image.open(tmp_path / "val" / name).size
        assert 1 <= len(truth["boxes"]) == len(truth["labels"]) <= 5
        assert set(truth["labels"]) <= set(FOUND)
        for x0, y0, x1, y1 in truth["boxes"]:
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height


def test_a_box_is_tight_around_its_thing() -> None:
    drawn = draw_detection(0, "val", 5)
    assert picture_name("val", 5) == "val_00000005.jpg"
    grey = np.asarray(_open(drawn.jpeg).convert("L"), np.float32)
    for x0, y0, x1, y1 in drawn.boxes:
        inside = grey[int(y0) : int(y1), int(x0) : int(x1)]
        assert inside.std() > 10  # a thing, and not the bare background


def test_the_committed_weights_fit_in_8_mb_and_name_the_classes() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) <= 8_000_000
    assert json.loads((WEIGHTS / "labels.json").read_text()) == [name for _, name, _ in CLASSES]
    assert json.loads((WEIGHTS / "detector-labels.json").read_text()) == LABELS


@pytest.mark.slow
def test_the_classifier_knows_fresh_pictures(fresh_pictures: list[Image.Image]) -> None:
    model = torchvision.models.get_model(CLASSIFIER, weights=None, num_classes=len(CLASSES)).eval()
    model.load_state_dict(load_file(WEIGHTS / f"{CLASSIFIER}.safetensors"), strict=True)
    recipe = torchvision.models.get_model_weights(CLASSIFIER).DEFAULT.transforms()
    images_NCHW = torch.stack([recipe(picture) for picture in fresh_pictures])

    with torch.inference_mode():
        assert _hits(model(images_NCHW)) >= 0.85 * FRESH_COUNT


@pytest.mark.slow
def test_the_vit_folder_loads_as_float32_and_knows_fresh_pictures(fresh_pictures: list[Image.Image]) -> None:
    model = ViTForImageClassification.from_pretrained(WEIGHTS / "vit").eval()
    processor = ViTImageProcessor.from_pretrained(WEIGHTS / "vit")

    assert model.dtype == torch.float32
    assert [model.config.id2label[index] for index in range(10)] == [name for _, name, _ in CLASSES]
    with torch.inference_mode():
        assert _hits(model(**processor(fresh_pictures, return_tensors="pt")).logits) >= 0.75 * FRESH_COUNT


@pytest.mark.slow
@pytest.mark.slow
def test_the_detector_finds_most_things() -> None:
    model = torchvision.models.get_model(DETECTOR, weights=None, weights_backbone=None, num_classes=len(LABELS)).eval()
    model.load_state_dict(load_file(WEIGHTS / f"{DETECTOR}.safetensors"), strict=True)
    squashed, things = zip(*(draw_detected(FRESH_SEED, "val", index) for index in range(FRESH_COUNT)), strict=True)
    recall, precision = count_found(model, DetectedArrays(np.stack(squashed), np.stack(things)))

    assert recall >= 0.6
    assert precision >= 0.8


def _open(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def _hits(logits_NK: torch.Tensor) -> int:
    return int((logits_NK.argmax(1) == torch.arange(FRESH_COUNT) % 10).sum())
