"""Real small detectors for tests of orientation: they find the bright corner of a dark picture."""

import torch

from job.recipe import Recipe


class Corner:
    """A detector of one box: the bright corner of a dark picture."""

    recipe = Recipe(orientation="apply")
    labels = ("corner",)

    def __init__(self, spec, device):
        pass

    def predict(self, images, sizes):
        found = []
        for image, (height, width) in zip(images, sizes, strict=True):
            assert tuple(image.shape) == (height, width, 3)
            rows, columns = (image[..., 0] > 128).nonzero(as_tuple=True)
            box = [float(columns.min()), float(rows.min()), float(columns.max()) + 1, float(rows.max()) + 1]
            found.append((torch.tensor([box]), torch.tensor([0]), torch.ones(1)))
        return found


class KeptCorner(Corner):
    recipe = Recipe(orientation="keep")
