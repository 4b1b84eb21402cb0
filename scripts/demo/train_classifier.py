"""Trains the demo's convolutional classifier, of torchvision's registry; called by scripts.demo.train."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from scripts.demo.arrays import classified_arrays
from scripts.demo.batches import Batch, LabelledPixels
from scripts.demo.fitting import Course, Phase, fit, top1
from scripts.demo.motifs import CLASSES

ARCHITECTURE = "shufflenet_v2_x0_5"
TRAIN_COUNT, VAL_COUNT = 10_000, 2_000
# Small inputs teach the shapes cheaply; what they teach holds at the full size only after a cycle of its own there
# (top-1 68 % before, 95 % after).
CYCLES = (
    ((Phase(4, 80, focused=1.0), Phase(5, 112), Phase(1, 224)), 4e-3),
    ((Phase(3, 224),), 3e-3),
)


def train_classifier(out: Path) -> str:
    """Train at the architecture's own recipe, save `out/ARCHITECTURE.safetensors` and return the figures reached."""
    recipe: Any = torchvision.models.get_model_weights(ARCHITECTURE).DEFAULT.transforms()
    train, val = classified_arrays("train", TRAIN_COUNT), classified_arrays("val", VAL_COUNT)
    side = recipe.crop_size[0]
    model = torchvision.models.get_model(ARCHITECTURE, weights=None, num_classes=len(CLASSES))
    model.to(memory_format=torch.channels_last)
    for number, (phases, peak_lr) in enumerate(CYCLES):
        course = Course(phases, peak_lr, mean=tuple(recipe.mean), std=tuple(recipe.std), seed=number)
        model = fit(model, _loss, LabelledPixels(train.middles, train.labels, train.middle_spots), course)
    edge = (train.middles.shape[1] - side) // 2
    middles = np.ascontiguousarray(val.middles[:, edge : edge + side, edge : edge + side])
    accuracy = top1(model, _logits, LabelledPixels(middles, val.labels, val.middle_spots), course)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, out / f"{ARCHITECTURE}.safetensors"
    )
    return f"top-1 {accuracy:.2%} of {VAL_COUNT}"


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    return functional.cross_entropy(model(batch.images), batch.labels, label_smoothing=0.05)


def _logits(model: nn.Module, images_nchw: Tensor) -> Tensor:
    logits_nk: Tensor = model(images_nchw)
    return logits_nk
