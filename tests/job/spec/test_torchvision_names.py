"""The committed registry against the torchvision that is installed."""

import pytest
from torchvision import models

from job.spec.torchvision_names import (
    check_torchvision_name,
    check_torchvision_recipe,
    check_torchvision_task,
    check_torchvision_weights,
)

MODELS = [
    *((name, "classify") for name in models.list_models(module=models)),
    *((name, "detect") for name in models.list_models(module=models.detection)),
]


@pytest.mark.parametrize(("name", "task"), MODELS)
def test_a_model_of_torchvision_is_known_with_its_task_and_weights(name: str, task: str) -> None:
    check_torchvision_name(name)
    check_torchvision_task(name, task)
    with pytest.raises(ValueError, match=f"{name} can only {task}"):
        check_torchvision_task(name, "detect" if task == "classify" else "classify")
    for member in models.get_model_weights(name):
        if member.meta["categories"]:
            check_torchvision_weights(name, member.name)


def test_the_default_weights_of_every_model_know_their_classes() -> None:
    assert len(MODELS) > 80
    for name, _ in MODELS:
        check_torchvision_weights(name, models.get_model_weights(name).DEFAULT.name)


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "raft_large", "r3d_18", "lraspp_mobilenet_v3_large"])
def test_models_of_other_tasks_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no classification or detection model"):
        check_torchvision_name(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet125", "resnet152"),
        ("ResNet50", "resnet50"),
        ("vit-b-16", "vit_b_16"),
        ("fasterrcnn_resnet50", "fasterrcnn_resnet50_fpn"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"did you mean {meant}\?"):
        check_torchvision_name(name)


def test_a_name_like_no_other_gets_no_guess() -> None:
    with pytest.raises(ValueError, match=r"of this name$"):
        check_torchvision_name("qqqqq")


@pytest.mark.parametrize(
    "weights",
    [
        "DEFAULT",
        "none",
        "IMAGENET1K_V2",
        "w.pth",
        "./a b/w.safetensors",
        "s3://bucket/w.pth",
        "w.pt",
        "last.ckpt",
        "pytorch_model.bin",
        "model_best.pth.tar",
    ],
)
def test_weights_are_a_name_or_a_state_dict(weights: str) -> None:
    check_torchvision_weights("resnet152", weights)


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (
            "imagenet1k_v1",
            r"resnet152 has DEFAULT, IMAGENET1K_V1, IMAGENET1K_V2, none; .* did you mean IMAGENET1K_V1\?",
        ),
        ("IMAGENET1K_V9", r"did you mean IMAGENET1K_V\d\?"),
        ("default", r"did you mean DEFAULT\?"),
        ("None", r"did you mean none\?"),
        ("COCO_V1", "resnet152 has DEFAULT"),
        ("w.onnx", r"read from \.safetensors, \.pth, \.pt, \.ckpt, \.bin, \.pth\.tar, not from this"),
        ("s3://bucket/model.h5", r"read from \.safetensors, \.pth"),
        ("w.PTH", r"read from \.safetensors, \.pth"),
        ("IMAGENET1K_FBGEMM_V2", "are quantised weights, for CPUs alone, and are not run here; resnet152 has DEFAULT"),
    ],
)
def test_other_weights_are_refused_with_what_there_is(weights: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_torchvision_weights("resnet152", weights)


def test_weights_without_a_classifier_are_not_offered() -> None:
    with pytest.raises(ValueError, match=r"without a classifier, .*; vgg16 has DEFAULT, IMAGENET1K_V1, none"):
        check_torchvision_weights("vgg16", "IMAGENET1K_FEATURES")


def test_weights_of_an_unknown_model_are_checked_by_their_form() -> None:
    check_torchvision_weights(None, "ANYTHING")
    with pytest.raises(ValueError, match="read from"):
        check_torchvision_weights(None, "w.onnx")


@pytest.mark.parametrize("name", models.list_models(module=models.quantization))
def test_a_quantised_model_is_refused_with_the_one_to_use(name: str) -> None:
    with pytest.raises(ValueError, match=f"are not run here; use {name.removeprefix('quantized_')}$"):
        check_torchvision_name(name)


def test_a_recipe_is_named_by_weights_of_the_same_model() -> None:
    check_torchvision_recipe("resnet50", "IMAGENET1K_V1")
    check_torchvision_recipe("resnet50", "DEFAULT")
    for other in ("none", "IMAGENET1K_V3", "w.pth"):
        with pytest.raises(
            ValueError, match="resnet50 has the recipes of its weights DEFAULT, IMAGENET1K_V1, IMAGENET1K_V2"
        ):
            check_torchvision_recipe("resnet50", other)
