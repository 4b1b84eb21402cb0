"""The training loop that the demo's two classifiers share: schedule, averaged weights, score.

Called by scripts.demo.train_classifier and scripts.demo.train_vit. It knows neither files nor architectures. Everything
random comes from one generator, so that a training run repeats itself on the same machine and versions.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scripts.demo.batches import Batch, LabelledPixels, Triple, View, batches, normalise

Model = TypeVar("Model", bound=nn.Module)
Loss = Callable[[Any, Batch], Tensor]
Forward = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Phase:
    """So many epochs at one input size, with a share of the pictures `focused` on their thing.

    Small inputs that the thing fills come first: they teach its shape in a few epochs at a fraction of the cost, where
    whole pictures leave a small net at chance for long. Some in a middle phase keep a convolutional net used to things
    as large as they are at the full input size.
    """

    epochs: int
    side: int
    focused: float = 0.0


@dataclass(frozen=True)
class Course:
    """How to train: AdamW over all phases; with `muon`, that optimizer takes the hidden matrices."""

    phases: tuple[Phase, ...]
    peak_lr: float
    mean: Triple
    std: Triple
    weight_decay: float = 0.05
    batch_size: int = 32
    ema_decay: float = 0.998
    muon: bool = False
    seed: int = 0


def fit(model: Model, loss_of: Loss, data: LabelledPixels, course: Course) -> Model:
    """Train `model` in place and return it with the moving average of its weights loaded, in evaluation mode."""
    generator = torch.Generator().manual_seed(course.seed)
    optimizers = _optimizers(model, course)
    pixels, all_pixels = 0, len(data.labels) * sum(phase.epochs * phase.side**2 for phase in course.phases)
    average = moving_average(model, course.ema_decay)
    model.train()
    for name, view in _epochs(course):
        losses, started = [], time.monotonic()
        for batch in batches(data, course.batch_size, view, generator):
            loss = loss_of(model, batch)
            model.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            step(optimizers, course.peak_lr * cycle(pixels / all_pixels))
            pixels += course.batch_size * view.side**2
            average.update_parameters(model)
            losses.append(float(loss.detach()))
        print(f"  {name}: loss {np.mean(losses):.3f}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    model.load_state_dict(average.module.state_dict())
    return model.eval()


def cycle(progress: float) -> float:
    """Return the share of the peak learning rate after `progress`, 0 to 1: a short rise, then half a cosine.

    Progress is counted in pixels, not steps, so that enough is left when the inputs reach their full size, late.
    """
    rise = 0.05
    if progress < rise:
        return 0.04 + 0.96 * progress / rise
    return 0.5 + 0.5 * math.cos(math.pi * (progress - rise) / (1 - rise))


def step(optimizers: list[torch.optim.Optimizer], learning_rate: float) -> None:
    """Take one step of each optimizer at `learning_rate`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of `model` that follows its weights and buffers; it scores better than any single step does."""
    average_fn = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average_fn, use_buffers=True)


def top1(model: nn.Module, forward: Forward, data: LabelledPixels, course: Course) -> float:
    """Return the share of pictures whose best class is right; `data.pixels` are already of the model's size."""
    view = View(data.pixels.shape[1], 0.0, course.mean, course.std)
    hits = 0
    with torch.inference_mode():
        for start in range(0, len(data.labels), 64):
            images_nchw = torch.from_numpy(np.array(data.pixels[start : start + 64])).permute(0, 3, 1, 2)
            best_n = forward(model, normalise(images_nchw, view)).argmax(1).numpy()
            hits += int((best_n == data.labels[start : start + 64]).sum())
    return hits / len(data.labels)


def _optimizers(model: nn.Module, course: Course) -> list[torch.optim.Optimizer]:
    """Return AdamW, and Muon where asked for: it takes a transformer as far in about half the steps."""
    hidden = [
        weights for name, weights in model.named_parameters() if course.muon and weights.ndim == 2 and "layer" in name
    ]
    others = [weights for weights in model.parameters() if all(weights is not taken for taken in hidden)]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, weight_decay=course.weight_decay)]
    if hidden:
        optimizers.append(torch.optim.Muon(hidden, weight_decay=course.weight_decay, adjust_lr_fn="match_rms_adamw"))
    return optimizers


def _epochs(course: Course) -> Iterator[tuple[str, View]]:
    for phase in course.phases:
        for epoch in range(phase.epochs):
            name = f"epoch {epoch + 1}/{phase.epochs} at {phase.side} px, {phase.focused:.0%} focused"
            yield name, View(phase.side, phase.focused, course.mean, course.std)
