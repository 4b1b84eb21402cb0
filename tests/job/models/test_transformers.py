"""transformers models: recipes held against their processors, folders whole or refused, boxes in original pixels."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import transformers
from models import make_decoded, make_model_spec, make_photo
from PIL import Image
from transformers import (
    BeitImageProcessor,
    BitImageProcessor,
    CLIPImageProcessor,
    ConvNextImageProcessor,
    DeiTImageProcessor,
    DetrImageProcessor,
    EfficientNetImageProcessor,
    LevitImageProcessor,
    MobileViTImageProcessor,
    PerceiverImageProcessor,
    PoolFormerImageProcessor,
    PPLCNetImageProcessor,
    ResNetConfig,
    RTDetrImageProcessor,
    SiglipImageProcessor,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    ViTModel,
    YolosConfig,
    YolosForObjectDetection,
    YolosImageProcessor,
)

from job.errors import ModelError
from job.models.load import load_predictor, load_recipe
from job.models.processor import recipe_of
from job.recipe import Exactly, Recipe, ShortestEdge
from job.stages.predict import PredictStage

LAYERS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
NAMES = {0: "tench", 1: "chain saw", 2: "church"}
HALF = (0.5, 0.5, 0.5)


def make_vit(**fields):
    torch.manual_seed(0)
    names = {"id2label": NAMES, "label2id": {name: index for index, name in NAMES.items()}}
    return ViTForImageClassification(ViTConfig(image_size=64, patch_size=16, **LAYERS, **names, **fields)).eval()


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit")
    make_vit().save_pretrained(folder)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def yolos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yolos")
    torch.manual_seed(0)
    config = YolosConfig(image_size=[96, 128], patch_size=16, num_detection_tokens=7, num_labels=2, **LAYERS)
    YolosForObjectDetection(config).save_pretrained(folder)
    YolosImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    return folder


def make_spec(folder, **fields):
    return make_model_spec(kind="transformers", name=str(folder), **fields)


def refusal(folder, load=load_predictor, **fields):
    with pytest.raises(ModelError) as raised:
        load(make_spec(folder, **fields), *(("cpu", 1) if load is load_predictor else ()))
    return str(raised.value)


def lanczos():
    """Nothing for a torch that does not have it yet; transformers' own processor fails there."""
    try:
        torch.nn.functional.interpolate(torch.zeros(1, 3, 9, 9), size=(4, 4), mode="lanczos", antialias=True)
    except ValueError:
        return []
    processor = CLIPImageProcessor(resample=1, do_normalize=False)
    return [(processor, Recipe(ShortestEdge(224), "lanczos", crop=(224, 224)))]


def rf_detr():
    """Nothing for a transformers that does not have it yet."""
    if not hasattr(transformers, "RfDetrImageProcessor"):
        return []
    processor = transformers.RfDetrImageProcessor(do_normalize=False)
    return [(processor, Recipe(ShortestEdge(800, 1333), resampler="torch without antialias"))]


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (ViTImageProcessor(), Recipe(Exactly(224, 224), mean=HALF, std=HALF)),
        *lanczos(),
        (CLIPImageProcessor(resample=0, do_normalize=False), Recipe(ShortestEdge(224), "nearest", crop=(224, 224))),
        (DeiTImageProcessor(do_normalize=False), Recipe(Exactly(256, 256), "bicubic", crop=(224, 224))),
        (SiglipImageProcessor(), Recipe(Exactly(224, 224), "bicubic", mean=HALF, std=HALF)),
        (BeitImageProcessor(), Recipe(Exactly(224, 224), "bicubic", mean=HALF, std=HALF)),
        (BitImageProcessor(do_normalize=False), Recipe(ShortestEdge(224), "bicubic", crop=(224, 224))),
        (LevitImageProcessor(do_normalize=False), Recipe(ShortestEdge(256), "bicubic", crop=(224, 224))),
        (PoolFormerImageProcessor(do_normalize=False), Recipe(ShortestEdge(248), "bicubic", crop=(224, 224))),
        (MobileViTImageProcessor(), Recipe(ShortestEdge(224), "bicubic", crop=(256, 256), channels="BGR")),
        (ConvNextImageProcessor(do_normalize=False), Recipe(Exactly(384, 384), "bicubic")),
        (
            ConvNextImageProcessor(size={"shortest_edge": 224}, do_normalize=False),
            Recipe(ShortestEdge(256), "bicubic", crop=(224, 224)),
        ),
        (
            EfficientNetImageProcessor(image_mean=HALF, image_std=HALF),
            Recipe(Exactly(346, 346), "bicubic", mean=HALF, std=(0.25, 0.25, 0.25)),
        ),
        (
            EfficientNetImageProcessor(
                rescale_offset=True, rescale_factor=1 / 127.5, do_normalize=False, include_top=False
            ),
            Recipe(Exactly(346, 346), "bicubic", scale=1 / 127.5, mean=(1.0, 1.0, 1.0)),
        ),
        (
            EfficientNetImageProcessor(rescale_offset=True, rescale_factor=1 / 127.5, image_mean=HALF, image_std=HALF),
            Recipe(Exactly(346, 346), "bicubic", scale=1 / 127.5, mean=(1.5, 1.5, 1.5), std=(0.25, 0.25, 0.25)),
        ),
        (
            EfficientNetImageProcessor(do_normalize=False, image_std=HALF),
            Recipe(Exactly(346, 346), "bicubic", std=HALF),
        ),
        (ViTImageProcessor(image_mean=0.5, image_std=0.5), Recipe(Exactly(224, 224), mean=HALF, std=HALF)),
        (
            PPLCNetImageProcessor(image_mean=(0.1, 0.2, 0.3), image_std=(0.5, 0.6, 0.7)),
            Recipe(
                ShortestEdge(256, rounds="half to even"),
                crop=(224, 224),
                channels="BGR",
                mean=(0.3, 0.2, 0.1),
                std=(0.7, 0.6, 0.5),
            ),
        ),
        (DetrImageProcessor(do_normalize=False), Recipe(ShortestEdge(800, 1333))),
        (
            DetrImageProcessor(do_normalize=False, pad_size={"height": 1400, "width": 1400}),
            Recipe(ShortestEdge(800, 1333)),
        ),
        (YolosImageProcessor(do_normalize=False), Recipe(ShortestEdge(800, 1333, multiple=16))),
        (RTDetrImageProcessor(), Recipe(Exactly(640, 640))),
        *rf_detr(),
        (ViTImageProcessor(do_rescale=False, do_normalize=False), Recipe(Exactly(224, 224), scale=1.0)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_processor_that_resizes_crops_and_normalises_becomes_a_recipe(processor, expected):
    found = recipe_of(processor, "model")
    resampler = "torch" if expected.resampler == "Pillow" else expected.resampler
    assert found == dataclasses.replace(expected, resampler=resampler, crop_rounds="down", orientation="apply")


@pytest.mark.parametrize(
    "processor", [PerceiverImageProcessor(), ViTImageProcessor(do_resize=True, size={"longest_edge": 9})]
)
def test_a_processor_that_does_something_else_is_refused_by_name(processor):
    with pytest.raises(ModelError, match=type(processor).__name__):
        recipe_of(processor, "model")


def test_a_folder_predicts_as_its_network_does(vit):
    predictor = load_predictor(make_spec(vit), "cpu", 1)
    assert list(predictor.labels) == list(NAMES.values())
    pixels = torch.from_numpy(np.stack([predictor.recipe.apply(make_photo(80, 100, seed)) for seed in range(3)]))
    with torch.inference_mode():
        expected = make_vit()(pixel_values=pixels.permute(0, 3, 1, 2) / 127.5 - 1).logits.softmax(1)
        assert torch.allclose(predictor.predict(pixels), expected, atol=1e-5)


def test_independent_classes_get_independent_scores(tmp_path):
    make_vit(problem_type="multi_label_classification").save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    pixels = torch.from_numpy(make_photo(64, 64))[None]
    with torch.inference_mode():
        scores = load_predictor(make_spec(tmp_path), "cpu", 1).predict(pixels)
        expected = make_vit()(pixel_values=pixels.permute(0, 3, 1, 2) / 127.5 - 1).logits.sigmoid()
    assert torch.allclose(scores, expected, atol=1e-5)


def test_labels_of_ones_own_replace_the_models(vit, tmp_path):
    (tmp_path / "labels.json").write_text('["a", "b", "c"]')
    assert list(load_predictor(make_spec(vit, labels=f"{tmp_path}/labels.json"), "cpu", 1).labels) == ["a", "b", "c"]
    (tmp_path / "labels.json").write_text('["a", "b"]')
    assert "has 3 classes" in refusal(vit, labels=f"{tmp_path}/labels.json")


def test_weights_that_were_not_trained_for_the_task_are_refused(vit, tmp_path):
    ViTModel.from_pretrained(vit).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    assert "its weights lack classifier.bias, classifier.weight of ViTForImageClassification" in refusal(tmp_path)


def test_only_safetensors_are_read(vit, tmp_path):
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((vit / name).read_bytes())
    torch.save(make_vit().state_dict(), tmp_path / "pytorch_model.bin")
    text = refusal(tmp_path)
    assert "cannot be loaded to classify, for it has no model.safetensors (it has pytorch_model.bin, a pickle)" in text
    assert "save it with model.save_pretrained(folder)" in text


def test_a_regression_gives_what_the_network_gives(tmp_path):
    make_vit(problem_type="regression").save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    pixels = torch.from_numpy(make_photo(64, 64))[None]
    spec = make_spec(tmp_path)
    with torch.inference_mode():
        expected = make_vit()(pixel_values=pixels.permute(0, 3, 1, 2) / 127.5 - 1).logits
        assert torch.allclose(load_predictor(spec, "cpu", 1).predict(pixels), expected, atol=1e-5)
    assert expected.min() < 0
    rows = PredictStage(spec, 2, "cpu", 1, load_recipe(spec))(make_decoded(load_recipe(spec), [make_photo(64, 64)]))
    assert rows["top_scores"].to_pylist()[0] == pytest.approx(sorted(expected[0].tolist(), reverse=True), abs=1e-5)


@pytest.mark.parametrize("written", [{"id2label": None, "label2id": None}, {}], ids=["null", "absent"])
def test_a_model_that_names_no_class_has_as_many_as_its_weights(vit, tmp_path, written):
    for file in vit.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config = {key: value for key, value in config.items() if key not in ("id2label", "label2id")} | written
    (tmp_path / "config.json").write_text(json.dumps(config))
    predictor = load_predictor(make_spec(tmp_path), "cpu", 1)
    assert list(predictor.labels) == ["LABEL_0", "LABEL_1", "LABEL_2"]
    pixels = torch.from_numpy(make_photo(64, 64))[None]
    with torch.inference_mode():
        assert torch.allclose(predictor.predict(pixels), load_predictor(make_spec(vit), "cpu", 1).predict(pixels))


@pytest.mark.parametrize("how", ["sharded", "bfloat16"])
def test_weights_in_shards_and_in_bfloat16_are_read(vit, tmp_path, how):
    network = make_vit().to(torch.bfloat16) if how == "bfloat16" else make_vit()
    network.save_pretrained(tmp_path, max_shard_size="20KB" if how == "sharded" else "5GB")
    assert (len(list(tmp_path.glob("model-*.safetensors"))) > 1) == (how == "sharded")
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    pixels = torch.from_numpy(make_photo(64, 64))[None]
    predictor = load_predictor(make_spec(tmp_path), "cpu", 1)
    assert predictor.precision == "float32"
    with torch.inference_mode():
        expected = load_predictor(make_spec(vit), "cpu", 1).predict(pixels)
        assert torch.allclose(predictor.predict(pixels), expected, atol=1e-6 if how == "sharded" else 1e-2)


def test_code_of_the_models_own_is_not_run(vit, tmp_path):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((vit / name).read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.C", "AutoModelForImageClassification": "mine.M"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text("raise SystemExit('its code was run')")
    assert "cannot be loaded to classify" in refusal(tmp_path)


def test_a_model_that_is_neither_here_nor_reachable_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for load in (load_predictor, load_recipe):
        text = refusal("somebody/some-vit", load)
        assert "somebody/some-vit is no folder here" in text
        assert "HF_HOME" in text


def test_a_detectors_model_cannot_classify(yolos):
    assert "cannot be loaded to classify" in refusal(yolos)


def test_random_weights_are_the_same_every_time(vit):
    pixels = torch.from_numpy(make_photo(64, 64))[None]
    with torch.inference_mode():
        first, second = (load_predictor(make_spec(vit, weights="none"), "cpu", 1).predict(pixels) for _ in range(2))
    assert torch.equal(first, second)


def test_a_detector_answers_as_its_pipeline_does_for_images_of_different_sizes(yolos):
    predictor = load_predictor(make_spec(yolos, task="detect"), "cpu", 1)
    photos = [make_photo(70, 90), make_photo(120, 60, 1), make_photo(70, 90, 2)]
    inputs = [torch.from_numpy(predictor.recipe.apply(photo)) for photo in photos]
    with torch.inference_mode():
        found = predictor.predict(inputs, [photo.shape[:2] for photo in photos])
    processor, network = YolosImageProcessor.from_pretrained(yolos), YolosForObjectDetection.from_pretrained(yolos)
    for photo, detection in zip(photos, found, strict=True):
        with torch.inference_mode():
            pixels = processor(Image.fromarray(photo), return_tensors="pt")["pixel_values"]
            outputs = network(pixel_values=pixels)
        (expected,) = processor.post_process_object_detection(outputs, threshold=-1, target_sizes=[photo.shape[:2]])
        assert torch.allclose(detection.boxes, expected["boxes"], atol=0.05)
        assert torch.allclose(detection.scores, expected["scores"], atol=1e-3)
        assert torch.equal(detection.labels, expected["labels"])


def test_a_processor_that_fills_up_to_one_size_is_followed(tmp_path):
    from transformers import DetrConfig, DetrForObjectDetection

    torch.manual_seed(0)
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 32, 32], depths=[1, 1, 1, 1], out_features=["stage4"]
    )
    config = DetrConfig(
        backbone_config=backbone, backbone=None, use_timm_backbone=False, use_pretrained_backbone=False, d_model=32,
        encoder_layers=1, decoder_layers=1, encoder_ffn_dim=32, decoder_ffn_dim=32, encoder_attention_heads=2,
        decoder_attention_heads=2, num_queries=5, num_labels=3,
    )  # fmt: skip
    DetrForObjectDetection(config).save_pretrained(tmp_path)
    size = {"size": {"shortest_edge": 64, "longest_edge": 96}, "pad_size": {"height": 128, "width": 128}}
    DetrImageProcessor(**size).save_pretrained(tmp_path)
    predictor = load_predictor(make_spec(tmp_path, task="detect"), "cpu", 1)
    photo = make_photo(70, 90)
    processor, network = DetrImageProcessor.from_pretrained(tmp_path), DetrForObjectDetection.from_pretrained(tmp_path)
    with torch.inference_mode():
        (found,) = predictor.predict([torch.from_numpy(predictor.recipe.apply(photo))], [(70, 90)])
        outputs = network(**processor(Image.fromarray(photo), return_tensors="pt"))
    (expected,) = processor.post_process_object_detection(outputs, threshold=-1, target_sizes=[(70, 90)])
    assert torch.allclose(found.boxes, expected["boxes"], atol=0.05)
    assert torch.allclose(found.scores, expected["scores"], atol=1e-3)


def test_a_model_is_read_from_the_folder_of_a_bucket(s3, vit, tmp_path, monkeypatch):
    monkeypatch.setenv("TENCH_CACHE", str(tmp_path))
    for file in vit.iterdir():
        s3.put(f"nets/vit/{file.name}", file.read_bytes())
    s3.put("nets/vit/checkpoints/older.json", b"{}")
    s3.put("nets/vit/pytorch_model.bin", b"no pickle is fetched")
    here, there = (make_model_spec(kind="transformers", name=name) for name in (str(vit), f"{s3.uri}/nets/vit/"))
    assert load_recipe(here) == load_recipe(there)
    images = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    assert torch.equal(load_predictor(here, "cpu", 1).predict(images), load_predictor(there, "cpu", 1).predict(images))
    assert not list(tmp_path.rglob("*.bin"))


def test_a_bucket_without_the_model_is_an_error(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("TENCH_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"there is no .*json at s3://"):
        load_recipe(make_model_spec(kind="transformers", name=f"{s3.uri}/none/"))
