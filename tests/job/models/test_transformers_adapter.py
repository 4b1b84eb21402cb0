"""PEFT adapters: merged into their base model, from any folder that people have, or refused with what to do."""

import importlib.util
import json
import shutil

import pytest
import torch
from models import make_model_spec, make_photo
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification, ViTImageProcessor

from job.errors import ModelError
from job.models.load import load_predictor, load_recipe
from job.recipe import Exactly

LAYERS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Of 5 classes, as ImageNet's are those of a base model."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    ViTForImageClassification(ViTConfig(image_size=64, patch_size=16, num_labels=5, **LAYERS)).save_pretrained(folder)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """An adapter of 3 classes, and the network that it is of."""
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(1)
    network = AutoModelForImageClassification.from_pretrained(base, num_labels=3, ignore_mismatched_sizes=True)
    lora = LoraConfig(target_modules=["q_proj", "v_proj", "query", "value"], modules_to_save=["classifier"], r=4)
    adapted = get_peft_model(network, lora)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                weight.normal_(std=0.5)
    adapted.save_pretrained(folder)
    return folder, adapted.eval()


def predict(folder, **fields):
    pixels = torch.from_numpy(make_photo(64, 64))[None]
    predictor = load_predictor(make_model_spec(kind="transformers", name=str(folder), **fields), "cpu", 1)
    with torch.inference_mode():
        return predictor.predict(pixels), pixels.permute(0, 3, 1, 2) / 127.5 - 1, list(predictor.labels)


def test_an_adapter_answers_as_peft_does_and_not_as_its_base(trained, base):
    folder, network = trained
    assert load_recipe(make_model_spec(kind="transformers", name=str(folder))).resize == Exactly(64, 64)
    found, inputs, labels = predict(folder)
    with torch.inference_mode():
        expected = network(pixel_values=inputs).logits.softmax(1)
    assert torch.allclose(found, expected, atol=1e-5)
    assert labels == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert predict(base)[0].shape == (1, 5)


def test_an_adapter_beside_its_base_is_merged_once(trained, base, tmp_path):
    torch.manual_seed(2)
    network = ViTForImageClassification.from_pretrained(base)
    lora = get_peft_model(network, LoraConfig(target_modules=["q_proj", "v_proj", "query", "value"], r=4))
    with torch.no_grad():
        for name, weight in lora.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.5)
    shutil.copytree(base, tmp_path / "both")
    lora.save_pretrained(tmp_path / "both")
    found, inputs, _ = predict(tmp_path / "both")
    with torch.inference_mode():
        expected = lora.eval()(pixel_values=inputs).logits.softmax(1)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, predict(base)[0], atol=1e-3)


def test_labels_and_the_processor_of_ones_own_are_taken(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "own")
    ViTImageProcessor(size={"height": 64, "width": 32}).save_pretrained(tmp_path / "own")
    (tmp_path / "labels.json").write_text('{"a": 0, "b": 1, "c": 2}')
    spec = make_model_spec(kind="transformers", name=str(tmp_path / "own"), labels=str(tmp_path / "labels.json"))
    assert load_recipe(spec).resize == Exactly(64, 32)
    assert list(load_predictor(spec, "cpu", 1).labels) == ["a", "b", "c"]


def refusal(folder, load=lambda spec: load_predictor(spec, "cpu", 1)):
    with pytest.raises(ModelError) as raised:
        load(make_model_spec(kind="transformers", name=str(folder)))
    return str(raised.value)


def test_without_peft_the_message_says_to_install_it(trained, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else find(name, *rest))
    assert "is a PEFT adapter, and peft is not installed; pip install peft" in refusal(trained[0], load_recipe)


def test_an_adapter_without_tensors_or_without_a_base_is_refused(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "a")
    (tmp_path / "a" / "adapter_model.safetensors").unlink()
    assert "without adapter_model.safetensors" in refusal(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": None}))
    assert "names no base model; merge it with merge_and_unload()" in refusal(tmp_path / "a", load_recipe)


def test_an_adapter_of_another_base_is_refused(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "a")
    other = ViTForImageClassification(ViTConfig(image_size=64, patch_size=16, **{**LAYERS, "hidden_size": 48}))
    other.save_pretrained(tmp_path / "other")
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path / "other")
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(tmp_path / "other")
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps(config))
    text = refusal(tmp_path / "a")
    assert "cannot be loaded to classify" in text
    assert "\n" not in text


def test_peft_itself_reads_what_the_test_saves(trained, base):
    network = AutoModelForImageClassification.from_pretrained(base, num_labels=3, ignore_mismatched_sizes=True)
    assert PeftModel.from_pretrained(network, str(trained[0])).peft_config["default"].r == 4
