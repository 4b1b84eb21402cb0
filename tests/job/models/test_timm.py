"""timm's models through transformers' TimmWrapper: their own evaluation transforms, and the pipeline's answers."""

import importlib.util
import json
from io import BytesIO

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import transformers
from models import make_decoded, make_model_spec, make_photo
from parity import LIMITS, make_odd_pictures, open_with_pillow
from PIL import Image
from timm.data import create_transform, resolve_data_config

from job.errors import ModelError
from job.models.load import load_predictor, load_recipe
from job.models.processor import recipe_of
from job.recipe import Exactly, ShortestEdge
from job.stages.images import decode
from job.stages.predict import PredictStage

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ["tench", "chain saw", "church"]
DATA = {
    "input_size": [3, 96, 96],
    "crop_pct": 0.9,
    "interpolation": "bicubic",
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.3, 0.4],
}


def save_timm(folder, **data):
    """As the hub keeps them: a config.json of timm's own, and the network's names without a prefix."""
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", pretrained=False, num_classes=3).eval()
    safetensors.torch.save_file(network.state_dict(), folder / "model.safetensors")
    config = {"architecture": "resnet10t", "num_classes": 3, "num_features": 512, "label_names": NAMES}
    (folder / "config.json").write_text(json.dumps(config | {"pretrained_cfg": DATA | {"num_classes": 3} | data}))
    return network


@pytest.fixture(scope="module")
def pictures():
    buffer = BytesIO()
    Image.fromarray(make_photo(300, 400)).save(buffer, "JPEG")
    return make_odd_pictures([buffer.getvalue()], 13)


@pytest.mark.parametrize("crop_mode", ["center", pytest.param("squash", marks=pytest.mark.slow)])
def test_a_folder_of_timms_answers_as_timm_and_the_pipeline_do(crop_mode, pictures, tmp_path):
    network = save_timm(tmp_path, crop_mode=crop_mode)
    spec = make_model_spec(kind="transformers", name=str(tmp_path))
    recipe = load_recipe(spec)
    assert recipe.resize == (ShortestEdge(106) if crop_mode == "center" else Exactly(106, 106))
    assert recipe.crop == (96, 96)
    rows = PredictStage(spec, 4, "cpu", 1, recipe)(make_decoded(recipe, [decode(data, LIMITS) for data in pictures]))
    transform = create_transform(**resolve_data_config(pretrained_cfg=DATA | {"crop_mode": crop_mode}))
    pipeline = transformers.pipeline("image-classification", str(tmp_path), device="cpu", dtype=torch.float32)
    for row, data in zip(rows.to_pylist(), pictures, strict=True):
        picture = Image.fromarray(np.asarray(open_with_pillow(data)))
        with torch.inference_mode():
            plain = network(transform(picture)[None]).softmax(1)[0]
        scores = dict(zip(row["top_labels"], row["top_scores"], strict=True))
        assert scores == pytest.approx(dict(zip(NAMES, plain.tolist(), strict=True)), abs=2e-3)
        assert scores == pytest.approx({each["label"]: each["score"] for each in pipeline(picture)}, abs=2e-3)


def configurations():
    """One model for each way in which timm's pretrained classifiers prepare their images."""
    found = {}
    for name in timm.list_pretrained():
        config = timm.get_pretrained_cfg(name)
        if config.num_classes:
            data = resolve_data_config(pretrained_cfg=config.to_dict())
            found.setdefault(tuple(sorted((key, str(value)) for key, value in data.items())), config.to_dict())
    return list(found.values())


@pytest.mark.slow
def test_every_way_in_which_timms_classifiers_prepare_images_becomes_a_recipe():
    from transformers import TimmWrapperImageProcessor

    ways = configurations()
    assert len(ways) > 100
    for config in ways:
        recipe = recipe_of(TimmWrapperImageProcessor(pretrained_cfg=config), config["architecture"])
        assert recipe.crop == tuple(config["input_size"][1:])


def test_borders_filled_with_a_colour_are_refused(tmp_path):
    save_timm(tmp_path, crop_mode="border")
    with pytest.raises(ModelError, match="TimmWrapperImageProcessor, does more than resize, crop and normalise"):
        load_recipe(make_model_spec(kind="transformers", name=str(tmp_path)))


def test_without_timm_the_message_says_to_install_it(tmp_path, monkeypatch):
    save_timm(tmp_path)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "timm" else find(name, *rest))
    spec = make_model_spec(kind="transformers", name=str(tmp_path))
    for load in (load_recipe, lambda spec: load_predictor(spec, "cpu", 1)):
        with pytest.raises(ModelError, match=r"is a model of timm's, and timm is not installed; pip install timm"):
            load(spec)


def test_random_weights_of_timms_are_drawn(tmp_path):
    save_timm(tmp_path)
    predictor = load_predictor(make_model_spec(kind="transformers", name=str(tmp_path), weights="none"), "cpu", 1)
    with torch.inference_mode():
        assert predictor.predict(torch.zeros((1, 96, 96, 3), dtype=torch.uint8)).shape == (1, 3)
