"""Devices: threads, precisions, and pixels made into input."""

import threading

import numpy as np
import pytest
import torch
from models import make_model_spec
from torchvision.models import get_model
from torchvision.transforms import functional as tv

from job.models.device import Placement, ToInput, choose_dtype, use_threads
from job.recipe import Recipe

IMAGENET = Recipe(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def pixels(count=3, height=20, width=31):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8))


def in_a_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_keeps_the_number_it_was_given_whatever_others_set():
    def set_and_compute():
        use_threads(3)
        in_a_thread(lambda: torch.set_num_threads(1))
        torch.rand(1000, 1000).sum()
        return torch.get_num_threads()

    assert in_a_thread(set_and_compute) == 3


@pytest.mark.parametrize("recipe", [Recipe(), IMAGENET, Recipe(scale=1.0), Recipe(mean=(0.5,) * 3, std=(0.5,) * 3)])
def test_input_is_rescaled_and_normalised(recipe):
    images = pixels()
    expected = tv.normalize(images.permute(0, 3, 1, 2) * recipe.scale, recipe.mean, recipe.std)
    found = ToInput(recipe, "cpu", torch.float32)(images)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(found, expected, atol=1e-4, rtol=1e-6)


def test_input_in_lower_precision_is_rounded_once():
    exact = ToInput(IMAGENET, "cpu", torch.float32)(pixels())
    assert torch.equal(ToInput(IMAGENET, "cpu", torch.bfloat16)(pixels()), exact.bfloat16())


def test_a_model_that_wants_blue_first_gets_it_first():
    recipe = Recipe(scale=1.0, mean=(1.0, 2.0, 3.0), channels="BGR")
    found = ToInput(recipe, "cpu", torch.float32)(pixels())
    assert torch.equal(found[:, 0], pixels()[..., 2] - 1.0)
    assert torch.equal(found[:, 2], pixels()[..., 0] - 3.0)


def test_batches_of_any_size_and_shape_follow_one_another():
    to_input = ToInput(IMAGENET, "cpu", torch.float32)
    for count, height, width in ((3, 20, 31), (1, 20, 31), (5, 20, 31), (2, 9, 4), (3, 20, 31)):
        images = pixels(count, height, width)
        fresh = ToInput(IMAGENET, "cpu", torch.float32)(images)
        assert torch.equal(to_input(images), fresh)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("float16", torch.float16)])
def test_a_precision_that_is_asked_for_is_taken(precision, dtype):
    assert choose_dtype(make_model_spec(precision=precision), "cpu") == dtype


@pytest.mark.parametrize("features", [{"amx_bf16": True}, {"avx512_bf16": True}, {"avx2": True}, {}])
def test_auto_is_bfloat16_on_a_cpu_that_is_fast_at_it(monkeypatch, features):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: features)
    fast = bool(features) and "avx2" not in features
    assert choose_dtype(make_model_spec(precision="auto"), "cpu") == (torch.bfloat16 if fast else torch.float32)
    detector = make_model_spec(name="ssd300_vgg16", task="detect", precision="auto")
    assert choose_dtype(detector, "cpu") == torch.float32


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)]
)
def test_auto_is_bfloat16_on_a_gpu_that_is_fast_at_it(monkeypatch, capability, dtype):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    assert choose_dtype(make_model_spec(precision="auto"), "cuda:0") == dtype
    assert choose_dtype(make_model_spec(name="ssd300_vgg16", task="detect", precision="auto"), "cuda:0") == dtype
    detr = make_model_spec(kind="transformers", name="somebody/detr", task="detect", precision="auto")
    assert choose_dtype(detr, "cuda:0") == torch.float32


def test_a_placed_model_keeps_the_statistics_of_its_batch_norms_exact():
    torch.manual_seed(0)
    network = get_model("shufflenet_v2_x0_5")
    norm = network.conv1[1]
    norm.running_mean.uniform_()
    expected = norm.running_mean.clone()
    placed = Placement("cpu", torch.bfloat16, compile=False).place(network)
    assert placed.fc.weight.dtype == torch.bfloat16
    assert placed.conv1[1].running_mean.dtype == torch.float32
    assert torch.equal(placed.conv1[1].running_mean, expected)
    assert not placed.training
    assert not any(parameter.requires_grad for parameter in placed.parameters())


def test_a_model_is_compiled_for_one_shape(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiled.append(options))
    Placement("cpu", torch.float32, compile=True).place(torch.nn.Conv2d(3, 4, 3))
    assert compiled == [{"dynamic": False}]
