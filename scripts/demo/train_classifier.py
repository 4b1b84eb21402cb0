"""Trains the demo's convolutional classifier, of torchvision's registry; called by scripts.demo.train.

A pipeline that rounds resized pixels to bytes, as Pillow's does, and one that resizes floats differ by a third of a
level. A small net amplifies that to 4 % of score where it is unsure, first of all in the filters of its stem, which
nothing keeps from being high-pass. So the stem's noise gain is part of the loss, and in the last cycle the logits' own.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from scripts.demo.arrays import Pixels, classified_arrays
from scripts.demo.batches import Batch, LabelledPixels, View, normalise
from scripts.demo.fitting import Course, Phase, fit, top1
from scripts.demo.motifs import CLASSES

ARCHITECTURE = "shufflenet_v2_x0_5"
TRAIN_COUNT, VAL_COUNT = 10_000, 2_000
# Small inputs teach the shapes cheaply; what they teach holds at the full size only after a cycle of its own there.
CYCLES = (
    ((Phase(4, 80, focused=1.0), Phase(5, 112), Phase(1, 224)), 4e-3),
    ((Phase(3, 224),), 3e-3),
)
STEM_WEIGHT, STEADY_WEIGHT = 3.0, 1000.0
NOISE = 4 / 255 / 0.225  # of the normalised input: four levels from end to end


def train_classifier(out: Path) -> str:
    """Train at the architecture's own recipe, save `out/ARCHITECTURE.safetensors` and return the figures reached."""
    recipe: Any = torchvision.models.get_model_weights(ARCHITECTURE).DEFAULT.transforms()
    train, val = classified_arrays("train", TRAIN_COUNT), classified_arrays("val", VAL_COUNT)
    side = recipe.crop_size[0]
    model = torchvision.models.get_model(ARCHITECTURE, weights=None, num_classes=len(CLASSES))
    model.to(memory_format=torch.channels_last)
    loss = Loss(_patch_covariance(train.middles[:500], recipe))
    for number, (phases, peak_lr) in enumerate(CYCLES):
        course = Course(phases, peak_lr, mean=tuple(recipe.mean), std=tuple(recipe.std), seed=number)
        of_cycle = loss.steady if number else loss.plain
        model = fit(model, of_cycle, LabelledPixels(train.middles, train.labels, train.middle_spots), course)
    edge = (train.middles.shape[1] - side) // 2
    middles = np.ascontiguousarray(val.middles[:, edge : edge + side, edge : edge + side])
    accuracy = top1(model, _logits, LabelledPixels(middles, val.labels, val.middle_spots), course)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, out / f"{ARCHITECTURE}.safetensors"
    )
    return f"top-1 {accuracy:.2%} of {VAL_COUNT}"


class Loss:
    """The losses of the two cycles; `covariance` `[27, 27]` is that of 3 x 3 patches of the input."""

    def __init__(self, covariance: Tensor) -> None:
        self._covariance = covariance

    def plain(self, model: Any, batch: Batch) -> Tensor:
        return _cross_entropy(model(batch.images), batch) + STEM_WEIGHT * self._stem_gain(model)

    def steady(self, model: Any, batch: Batch) -> Tensor:
        noisy = batch.images + (torch.rand_like(batch.images) - 0.5) * NOISE
        logits_nk, noisy_logits_nk = model(batch.images), model(noisy)
        entropy = (_cross_entropy(logits_nk, batch) + _cross_entropy(noisy_logits_nk, batch)) / 2
        shaken = (logits_nk - noisy_logits_nk).square().mean()
        loss: Tensor = entropy + STEADY_WEIGHT * shaken + STEM_WEIGHT * self._stem_gain(model)
        return loss

    def _stem_gain(self, model: Any) -> Tensor:
        """Mean over the stem's filters of the power of white noise that passes, as a share of the picture's."""
        filters: Tensor = model.conv1[0].weight.flatten(1)
        return (filters.square().sum(1) / ((filters @ self._covariance) * filters).sum(1)).mean()


def _patch_covariance(pixels_nhwc: Pixels, recipe: Any) -> Tensor:
    images_nchw = torch.from_numpy(np.array(pixels_nhwc)).permute(0, 3, 1, 2)
    images_nchw = normalise(images_nchw, View(0, 0.0, tuple(recipe.mean), tuple(recipe.std)))
    patches = functional.unfold(images_nchw, 3, stride=9).permute(0, 2, 1).reshape(-1, 27)
    return torch.cov(patches.T)


def _cross_entropy(logits_nk: Tensor, batch: Batch) -> Tensor:
    return functional.cross_entropy(logits_nk, batch.labels, label_smoothing=0.05)


def _logits(model: nn.Module, images_nchw: Tensor) -> Tensor:
    logits_nk: Tensor = model(images_nchw)
    return logits_nk
