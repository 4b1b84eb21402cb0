"""Trains the demo's detector, of torchvision's registry, and counts what it finds; called by scripts.demo.train.

Shape suffixes: n images of a batch, t things of an image, c channels, h and w pixels.
"""

import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.ops import box_iou

from scripts.demo.arrays import DETECTION_SIDE, DetectedArrays, detected_arrays
from scripts.demo.detection import FOUND
from scripts.demo.fitting import cycle, moving_average, step

ARCHITECTURE = "ssdlite320_mobilenet_v3_large"
LABELS = ["__background__", *FOUND]
TRAIN_COUNT, VAL_COUNT = 4_000, 400
# Sides of the input and batches at each: a quarter of the pixels teaches most of it in a quarter of the time.
PHASES = ((160, 2000), (DETECTION_SIDE, 500))
BATCH_SIZE, PEAK_LR, WEIGHT_DECAY, EMA_DECAY = 16, 2e-3, 0.02, 0.995
SCORE, IOU = 0.5, 0.5

Target = dict[str, Tensor]


def train_detector(out: Path) -> str:
    """Train, save `out/ARCHITECTURE.safetensors` (half precision) and its labels, and return the figures reached."""
    model = fit_detector(get_model(ARCHITECTURE, weights=None, weights_backbone=None, num_classes=len(LABELS)))
    halves = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    save_file({name: value.contiguous() for name, value in halves.items()}, out / f"{ARCHITECTURE}.safetensors")
    (out / "detector-labels.json").write_text(json.dumps(LABELS, indent=1) + "\n")
    recall, precision = count_found(model, detected_arrays("val", VAL_COUNT))
    return f"recall {recall:.2%}, precision {precision:.2%} at score {SCORE} and IoU {IOU} on {VAL_COUNT} pictures"


def fit_detector(model: nn.Module) -> nn.Module:
    """Train `model` in place and return it with the moving average of its weights loaded, in evaluation mode."""
    data = detected_arrays("train", TRAIN_COUNT)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, weight_decay=WEIGHT_DECAY)
    model.to(memory_format=torch.channels_last)  # twice as fast on a CPU
    pixels, all_pixels = 0, BATCH_SIZE * sum(steps * side**2 for side, steps in PHASES)
    average = moving_average(model, EMA_DECAY)
    model.train()
    for side, steps in PHASES:
        losses, started = [], time.monotonic()
        _set_side(model, side)
        for number, (images, targets) in enumerate(islice(_batches(data, generator), steps), 1):
            loss = torch.stack(list(model(images, targets).values())).sum()
            model.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            step([optimizer], PEAK_LR * cycle(pixels / all_pixels))
            pixels += BATCH_SIZE * side**2
            average.update_parameters(model)
            losses.append(float(loss.detach()))
            if number % 100 == 0:
                took_s, recent = time.monotonic() - started, np.mean(losses[-100:])
                print(f"  step {number} at {side} px: loss {recent:.3f}, {took_s:.0f} s", file=sys.stderr, flush=True)
    model.load_state_dict(average.module.state_dict())
    return model.eval()


def count_found(model: nn.Module, data: DetectedArrays) -> tuple[float, float]:
    """Return recall and precision: a box counts that is sure, of the right class, and on a thing not yet found."""
    found = shown = present = 0
    with torch.inference_mode():
        for pixels_hwc, things in zip(data.squashed, data.things, strict=True):
            result = model([torch.from_numpy(np.array(pixels_hwc)).permute(2, 0, 1).float() / 255])[0]
            target = _target(torch.from_numpy(np.array(things)))
            sure = result["scores"] >= SCORE
            found += _matches(result["boxes"][sure], result["labels"][sure], target)
            shown += int(sure.sum())
            present += len(target["labels"])
    return found / max(present, 1), found / max(shown, 1)


def _matches(boxes: Tensor, labels: Tensor, target: Target) -> int:
    """Match boxes, best score first, each to the free thing of its class that it overlaps most."""
    free = set(range(len(target["labels"])))
    overlaps = box_iou(boxes, target["boxes"])
    for row, label in zip(overlaps, labels, strict=True):
        fitting = [thing for thing in free if target["labels"][thing] == label and row[thing] >= IOU]
        if fitting:
            free.remove(max(fitting, key=lambda thing: float(row[thing])))
    return len(target["labels"]) - len(free)


def _set_side(model: nn.Module, side: int) -> None:
    """Have the detector's own transform resize to `side`; its default boxes are relative, so any size will do."""
    transform: Any = model.transform
    transform.min_size, transform.max_size = (side,), side
    transform.fixed_size = (side, side)


def _batches(data: DetectedArrays, generator: torch.Generator) -> Iterator[tuple[list[Tensor], list[Target]]]:
    """Yields batches without end."""
    while True:
        order = torch.randperm(len(data.things), generator=generator).numpy()
        for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            yield _batch(data, np.sort(order[start : start + BATCH_SIZE]), generator)


def _batch(
    data: DetectedArrays, chosen: npt.NDArray[np.int64], generator: torch.Generator
) -> tuple[list[Tensor], list[Target]]:
    images_nchw = torch.from_numpy(data.squashed[chosen]).permute(0, 3, 1, 2).float() / 255
    things_nt5 = torch.from_numpy(data.things[chosen])
    gains = 1 + (torch.rand((BATCH_SIZE, 3, 1, 1), generator=generator) - 0.5) * 0.4
    images_nchw = (images_nchw * gains).clamp(0, 1)
    for index in torch.nonzero(torch.rand(BATCH_SIZE, generator=generator) < 0.5).flatten().tolist():
        images_nchw[index] = images_nchw[index].flip(2)
        things_nt5[index, :, [0, 2]] = DETECTION_SIDE - things_nt5[index, :, [2, 0]]
    return list(images_nchw), [_target(things) for things in things_nt5]


def _target(things: Tensor) -> Target:
    present = things[things[:, 4] >= 0]
    return {"boxes": present[:, :4], "labels": present[:, 4].long() + 1}
