"""Cuts drawn pictures into augmented training batches; called by scripts.demo.fitting.

It knows no model. Everything random comes from the caller's generator.

Shape suffixes: n images of a batch, h and w pixels, c channels; a 3 is left, top, side of a square crop, and a 4 is
centre x, centre y, width, height of a thing, all as fractions of a square picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class LabelledPixels:
    """Square pictures `[N, H, W, 3] uint8`, class indices `[N]`, and where the things are `[N, 4]`."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    spots: npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """How pictures reach the model: size, the share that is `focused` on its thing, the recipe's mean and deviation."""

    side: int
    focused: float
    mean: Triple
    std: Triple


@dataclass(frozen=True)
class Batch:
    """Normalised images `[n, 3, side, side]`, class indices `[n]`, and where the things went `[n, 4]`."""

    images: Tensor
    labels: Tensor
    spots: Tensor


def batches(data: LabelledPixels, size: int, view: View, generator: torch.Generator) -> Iterator[Batch]:
    """Yield one epoch in random order; a last batch that is not full is left out."""
    order = torch.randperm(len(data.labels), generator=generator).numpy()
    for start in range(0, len(order) - size + 1, size):
        chosen = np.sort(order[start : start + size])
        draws_n9 = torch.rand((size, 9), generator=generator)
        spots_n4 = torch.from_numpy(data.spots[chosen])
        is_focused_n1 = draws_n9[:, 8:] < view.focused
        crops_n3 = torch.where(is_focused_n1, _focused_crops(draws_n9, spots_n4), _whole_crops(draws_n9))
        mirrored_n = draws_n9[:, 3] < 0.5
        images_nchw = _cut(torch.from_numpy(data.pixels[chosen]), crops_n3, view.side)
        images_nchw[mirrored_n] = images_nchw[mirrored_n].flip(3)
        images_nchw = normalise(_recolour(images_nchw, draws_n9), view)
        yield Batch(images_nchw, torch.from_numpy(data.labels[chosen]), _follow(spots_n4, crops_n3, mirrored_n))


def normalise(images_nchw: Tensor, view: View) -> Tensor:
    """Turn levels of 0 to 255 into what the model reads, channels last in memory."""
    scaled: Tensor = functional.normalize(images_nchw.float() / 255, list(view.mean), list(view.std))
    return scaled.contiguous(memory_format=torch.channels_last)


def _whole_crops(draws_n9: Tensor) -> Tensor:
    """Return squares that hold most of the picture."""
    sides_n = 0.8 + 0.2 * draws_n9[:, 0]
    return torch.stack([draws_n9[:, 1] * (1 - sides_n), draws_n9[:, 2] * (1 - sides_n), sides_n], 1)


def _focused_crops(draws_n9: Tensor, spots_n4: Tensor) -> Tensor:
    """Return squares that the thing mostly fills."""
    sides_n = (spots_n4[:, 2:].amax(1) * (0.95 + 0.5 * draws_n9[:, 0])).clamp(0.2, 1)
    corners_n2 = spots_n4[:, :2] + (draws_n9[:, 1:3] - 0.5) * 0.3 * sides_n[:, None] - sides_n[:, None] / 2
    inside_n2 = torch.minimum(corners_n2.clamp(min=0), 1 - sides_n[:, None])
    return torch.cat([inside_n2, sides_n[:, None]], 1)


def _cut(pixels_nhwc: Tensor, crops_n3: Tensor, side: int) -> Tensor:
    """Cut each picture by its own crop; returns `[n, 3, side, side] uint8`."""
    full = pixels_nhwc.shape[1]
    cuts = []
    for pixels_hwc, (left, top, width) in zip(pixels_nhwc, (crops_n3 * full).int().tolist(), strict=True):
        cut_chw = pixels_hwc[top : top + width, left : left + width].permute(2, 0, 1)
        cuts.append(functional.resize(cut_chw[None], [side, side], antialias=True)[0])
    return torch.stack(cuts)


def _recolour(images_nchw: Tensor, draws_n9: Tensor) -> Tensor:
    """Change the brightness and the cast of each picture."""
    gains_nc = 1 + (draws_n9[:, 4, None] - 0.5) * 0.5 + (draws_n9[:, 5:8] - 0.5) * 0.2
    return (images_nchw * gains_nc[:, :, None, None]).clamp(0, 255)


def _follow(spots_n4: Tensor, crops_n3: Tensor, mirrored_n: Tensor) -> Tensor:
    """Return where the things are once the pictures are cut and mirrored."""
    centres_n2 = (spots_n4[:, :2] - crops_n3[:, :2]) / crops_n3[:, 2:]
    centres_n2[mirrored_n, 0] = 1 - centres_n2[mirrored_n, 0]
    return torch.cat([centres_n2, spots_n4[:, 2:] / crops_n3[:, 2:]], 1)
