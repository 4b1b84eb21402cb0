"""A real small detector for tests of crops, `boxes:Many`: every image has several boxes, some of them odd."""

import torch
from colours import CHANNELS, LABELS

from job.recipe import Recipe

# Parts of the width and the height; the last two have no pixel of the image.
MANY = [
    [0.0, 0.0, 1.0, 1.0], [0.1, 0.13, 0.52, 0.71], [-0.2, 0.5, 0.3, 1.4], [0.77, 0.0, 1.0, 0.333],
    [0.4, 0.2, 0.4, 0.6], [1.2, 0.2, 1.5, 0.6],
]  # fmt: skip


class Many:
    recipe = Recipe()
    labels = LABELS

    def __init__(self, spec, device):
        pass

    def predict(self, images, sizes):
        return [self._find(image, size) for image, size in zip(images, sizes, strict=True)]

    def _find(self, image, size):
        if not image.any():
            return torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0)
        height, width = size
        boxes = torch.tensor(MANY) * torch.tensor([width, height, width, height])
        leading = LABELS.index(max(CHANNELS, key=lambda name: image[..., CHANNELS[name]].float().mean().item()))
        labels = torch.tensor([leading, (leading + 1) % 3] * 3)
        return boxes, labels, torch.linspace(0.9, 0.1, len(MANY))
