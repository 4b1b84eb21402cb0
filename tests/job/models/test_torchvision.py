"""torchvision models: recipes of their weights, state dicts that fit or say why not, labels, precision."""

import json
import urllib.request

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from models import make_model_spec
from torchvision.models import get_model, get_model_weights, list_models

from job.errors import ModelError
from job.models.load import load_predictor
from job.models.load import load_recipe as load_checked
from job.models.torchvision import _build, _count_classes, load_recipe
from job.recipe import Exactly, Recipe, ShortestEdge

CLASSIFIERS = list_models(module=torchvision.models)
DETECTORS = list_models(module=torchvision.models.detection)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return get_model("shufflenet_v2_x0_5", weights=None, num_classes=3).eval()


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        path = tmp_path / name
        if name.endswith(".safetensors"):
            safetensors.torch.save_file(content, path)
        elif name.endswith(".pth"):
            torch.save(content, path)
        else:
            path.write_text(json.dumps(content))
        return str(path)

    return write_file


def images(count=2, size=224):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8))


def predict(spec, pixels):
    with torch.inference_mode():
        return load_predictor(spec, "cpu", 1).predict(pixels)


def refusal(**model):
    with pytest.raises(ModelError) as raised:
        load_predictor(make_model_spec(**model), "cpu", 1)
    return str(raised.value)


def test_a_recipe_is_that_of_the_named_weights():
    assert load_recipe(make_model_spec(name="resnet50", weights="IMAGENET1K_V1")) == Recipe(
        ShortestEdge(256), crop=(224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    assert load_recipe(make_model_spec(name="resnet50", weights="IMAGENET1K_V2")).resize == ShortestEdge(232)
    assert load_recipe(make_model_spec(name="resnet50", weights="my.pth")).resize == ShortestEdge(232)
    assert load_recipe(make_model_spec(name="resnet50", weights="my.pth", recipe="IMAGENET1K_V1")).resize.pixels == 256
    efficient = load_recipe(make_model_spec(name="efficientnet_b5", weights="DEFAULT"))
    assert (efficient.interpolation, efficient.crop) == ("bicubic", (456, 456))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_weight_of_every_classifier_has_a_recipe_that_equals_its_preset(name):
    for weights in get_model_weights(name):
        if not weights.meta["categories"]:
            continue  # VGG's weights without a classifier
        recipe, preset = load_recipe(make_model_spec(name=name, weights=weights.name)), weights.transforms()
        assert (recipe.resize.pixels, *recipe.crop) == (*preset.resize_size, *preset.crop_size * 2)
        assert recipe.interpolation == preset.interpolation.value
        assert (list(recipe.mean), list(recipe.std)) == (preset.mean, preset.std)


def test_a_recipe_of_ones_own_is_what_it_says():
    steps = {"resize": [300, 200], "interpolation": "bicubic", "mean": [0, 0.5, 1], "std": [1, 0.5, 0.25]}
    recipe = load_recipe(make_model_spec(weights="my.pth", recipe=steps))
    assert recipe == Recipe(Exactly(300, 200), "bicubic", mean=(0, 0.5, 1), std=(1, 0.5, 0.25))
    recipe = load_recipe(make_model_spec(weights="my.pth", recipe={"resize": 300, "crop": [280, 240]}))
    assert (recipe.resize, recipe.crop, recipe.mean) == (ShortestEdge(300), (280, 240), (0.485, 0.456, 0.406))


def test_the_recipe_that_is_assumed_for_a_state_dict_is_said_and_the_scripts_beside_it(caplog):
    load_recipe(make_model_spec(name="resnet50", weights="s3://nets/my.pth"))
    assert "model.recipe is not given, and s3://nets/my.pth does not tell" in caplog.text
    assert (
        "resnet50's newest weights, IMAGENET1K_V2: shorter edge to 232, bilinear, crop 224x224, mean 0.485"
        in caplog.text
    )
    assert "torchvision's training script evaluates at 256" in caplog.text
    caplog.clear()
    load_recipe(make_model_spec(name="resnet18", weights="my.pth"))
    assert "resnet18's newest weights, IMAGENET1K_V1: shorter edge to 256" in caplog.text
    assert "training script" not in caplog.text


@pytest.mark.parametrize(
    "fields",
    [{"weights": "my.pth", "recipe": "IMAGENET1K_V1"}, {"weights": "IMAGENET1K_V1"}, {"weights": "none"}, {}],
    ids=str,
)
def test_a_recipe_that_is_known_is_not_warned_of(fields, caplog):
    load_recipe(make_model_spec(**fields))
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "part"), [("maskrcnn_resnet50_fpn", "masks"), ("keypointrcnn_resnet50_fpn", "keypoints")]
)
def test_what_a_detector_draws_besides_boxes_is_said_to_be_left_out(name, part, caplog):
    load_recipe(make_model_spec(name=name, task="detect"))
    assert f"{name}: a run keeps its boxes, labels and scores; {part} are left out" in caplog.text
    caplog.clear()
    load_recipe(make_model_spec(name="ssd300_vgg16", task="detect"))
    assert not caplog.records


def test_a_detectors_images_keep_their_size():
    assert load_recipe(make_model_spec(name="ssd300_vgg16", task="detect")) == Recipe()


COUNTED = ("densenet121", "googlenet", "inception_v3", "maxvit_t", "regnet_y_400mf", "swin_t", "vit_b_16", *DETECTORS)


@pytest.mark.parametrize(
    "name", ["alexnet", "squeezenet1_1", *(pytest.param(name, marks=pytest.mark.slow) for name in COUNTED)]
)
def test_the_classes_of_a_state_dict_are_counted_whatever_the_architecture(name):
    spec = make_model_spec(name=name, task="detect" if name in DETECTORS else "classify")
    extra = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    if name.startswith("regnet"):
        state = _build(spec, 7).state_dict()
    else:
        with torch.device("meta"):
            state = _build(spec, 7, **extra).state_dict()
    assert _count_classes(spec, lambda classes: _build(spec, classes, **extra), state) == 7


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_state_dict_predicts_as_its_network_does(network, write, suffix):
    labels = write("labels.json", ["cat", "dog", "tench"])
    spec = make_model_spec(weights=write(f"net{suffix}", network.state_dict()), labels=labels)
    predictor = load_predictor(spec, "cpu", 1)
    assert list(predictor.labels) == ["cat", "dog", "tench"]
    pixels = images()
    inputs = get_model_weights("shufflenet_v2_x0_5").DEFAULT.transforms()
    inputs.resize_size = inputs.crop_size
    with torch.inference_mode():
        expected = network(inputs(pixels.permute(0, 3, 1, 2))).softmax(1)
        found = predictor.predict(pixels)
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_state_dict_in_half_precision_and_in_a_training_scripts_checkpoint_is_read(network, write):
    half = {key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()}
    checkpoint = write("net.pth", {"model": half, "epoch": 3})
    found = predict(make_model_spec(weights=checkpoint), images())
    assert torch.allclose(found.sum(1), torch.ones(2))
    assert list(load_predictor(make_model_spec(weights=checkpoint), "cpu", 1).labels) == ["0", "1", "2"]


def test_weights_of_another_architecture_are_refused_with_the_tensors_that_differ(network, write):
    weights = write("net.safetensors", network.state_dict())
    text = refusal(name="mobilenet_v3_small", weights=weights)
    assert "does not fit mobilenet_v3_small: it lacks features.0.0.weight, " in text
    assert "and it has conv1.0.weight, " in text


def test_weights_of_another_width_are_refused(network, write):
    text = refusal(name="shufflenet_v2_x1_0", weights=write("net.pth", network.state_dict()))
    assert "does not fit shufflenet_v2_x1_0" in text
    assert "size mismatch" in text


def test_labels_must_be_as_many_as_the_classes(network, write):
    text = refusal(weights=write("net.pth", network.state_dict()), labels=write("labels.json", ["cat", "dog"]))
    assert "3 classes" in text
    assert "names 2" in text


@pytest.mark.parametrize("content", [[1, 2, 3], [], "cat", {}, {"a": "cat"}])
def test_labels_must_be_names(network, write, content):
    assert "must hold class names: a JSON list" in refusal(
        weights=write("net.pth", network.state_dict()), labels=write("labels.json", content)
    )


@pytest.mark.parametrize(
    "content",
    [{"0": ["n01440764", "cat"], "1": ["n02102040", "dog"], "2": ["n0", "tench"]}, {"dog": 1, "tench": 2, "cat": 0}],
)
def test_labels_come_in_the_forms_that_people_have(network, write, content):
    spec = make_model_spec(weights=write("net.pth", network.state_dict()), labels=write("labels.json", content))
    assert list(load_predictor(spec, "cpu", 1).labels) == ["cat", "dog", "tench"]


def test_files_that_are_not_there_are_named(network, write, tmp_path):
    assert f"there is no file {tmp_path}/no.pth" in refusal(weights=f"{tmp_path}/no.pth")
    weights = write("net.pth", network.state_dict())
    assert f"there is nothing at {tmp_path}/no.json" in refusal(weights=weights, labels=f"{tmp_path}/no.json")


def test_weights_that_cannot_be_downloaded_say_what_else_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it would keep the proxies, for all tests to come
    text = refusal(weights="IMAGENET1K_V1")
    assert "cannot fetch https://" in text
    assert f"put the file at {tmp_path}/checkpoints/shufflenetv2_x0.5-" in text


def test_published_weights_that_lie_in_the_hubs_cache_are_used(monkeypatch, tmp_path, write):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    weights = get_model_weights("shufflenet_v2_x0_5").IMAGENET1K_V1
    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(3)
    network = get_model("shufflenet_v2_x0_5", weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "checkpoints" / weights.url.rpartition("/")[2])
    predictor = load_predictor(make_model_spec(weights="IMAGENET1K_V1"), "cpu", 1)
    assert predictor.labels[0] == "tench"
    with torch.inference_mode():
        assert predictor.predict(images()).shape == (2, 1000)
    labels = write("labels.json", [f"class {index}" for index in range(1000)])
    renamed = load_predictor(make_model_spec(weights="IMAGENET1K_V1", labels=labels), "cpu", 1)
    assert renamed.labels[0] == "class 0"
    assert "names 2" in refusal(weights="IMAGENET1K_V1", labels=write("two.json", ["cat", "dog"]))


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = predict(make_model_spec(weights="none"), images())
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first, predict(make_model_spec(weights="none"), images()))
    assert first.shape == (2, 1000)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_with_auxiliary_heads_answer_with_one(name):
    spec = make_model_spec(name=name, weights="none")
    assert predict(spec, images(1, load_recipe(spec).crop[0])).shape == (1, 1000)


@pytest.mark.parametrize("precision", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_a_lower_precision_changes_scores_little_and_they_stay_float32(precision):
    exact = predict(make_model_spec(name="resnet18", weights="none"), images())
    found = predict(make_model_spec(name="resnet18", weights="none", precision=precision), images())
    assert found.dtype == torch.float32
    # How the rounding adds up is the processor's; that it stays below one step of the format at 1.0 is not.
    assert 0 < (found - exact).abs().max() < torch.finfo(getattr(torch, precision)).eps


@pytest.mark.slow
def test_detectors_count_the_background_among_their_classes(write):
    spec = {"name": "ssdlite320_mobilenet_v3_large", "task": "detect"}
    torch.manual_seed(0)
    state = get_model(spec["name"], weights=None, weights_backbone=None, num_classes=3).state_dict()
    weights = write("net.safetensors", state)
    labels = write("labels.json", ["cat", "dog"])
    predictor = load_predictor(make_model_spec(weights=weights, labels=labels, **spec), "cpu", 1)
    assert list(predictor.labels) == ["__background__", "cat", "dog"]
    pixels = [images(1, 90)[0], images(1, 130)[0, :70]]
    with torch.inference_mode():
        found = predictor.predict(pixels, [(90, 90), (70, 130)])
    for detection, (height, width) in zip(found, [(90, 90), (70, 130)], strict=True):
        assert detection.boxes.shape[1] == 4
        assert len(detection.boxes)
        assert (detection.boxes[:, 2::2] <= width).all()
        assert (detection.boxes[:, 3::2] <= height).all()


def test_a_detector_in_bfloat16_keeps_its_boxes_in_float32():
    spec = {"name": "ssdlite320_mobilenet_v3_large", "task": "detect", "weights": "none"}
    pixels = [images(1, 300)[0]]
    with torch.inference_mode():
        (exact,) = load_predictor(make_model_spec(**spec), "cpu", 1).predict(pixels, [(300, 300)])
        (found,) = load_predictor(make_model_spec(precision="bfloat16", **spec), "cpu", 1).predict(pixels, [(300, 300)])
    assert found.boxes.dtype == torch.float32
    fractions = found.boxes.frac()
    assert (fractions * 8 != (fractions * 8).round()).any()  # finer than bfloat16 knows such coordinates
    assert abs(len(found.boxes) - len(exact.boxes)) <= 0.1 * len(exact.boxes)


def test_mask_and_keypoint_networks_give_the_boxes_without_drawing_masks():
    spec = make_model_spec(name="maskrcnn_resnet50_fpn", task="detect", weights="none")
    predictor = load_predictor(spec, "cpu", 1)
    assert not predictor._network.roi_heads.has_mask()
    assert predictor._network.roi_heads.mask_head is not None


def test_compiling_without_a_compiler_is_refused_before_anything_starts(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"model\.compile is true and none of g\+\+, .* is installed here; set it"):
        load_checked(make_model_spec(name="resnet50", weights="none", compile=True))
