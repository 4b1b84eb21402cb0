"""A real small model for tests of the flow, `colours:make`: says whether a picture is red, green or blue.

COLOURS_LOG names a file that gets the size of every batch; COLOURS_SECONDS_PER_IMAGE makes the model slow.
"""

import os
import time
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from job.errors import ModelError
from job.recipe import Exactly, Recipe

LABELS = ("blue", "green", "red")
CHANNELS = {"red": 0, "green": 1, "blue": 2}


class Colours:
    recipe = Recipe(Exactly(32, 32))
    labels = LABELS

    def __init__(self, spec, device):
        self.device = device

    def predict(self, images):
        time.sleep(float(os.environ.get("COLOURS_SECONDS_PER_IMAGE", "0")) * len(images))
        if log := os.environ.get("COLOURS_LOG"):
            with open(log, "a") as file:
                file.write(f"{len(images)}\n")
        means = images.float().mean((1, 2)) / 255
        return torch.softmax(10 * means[:, [CHANNELS[label] for label in LABELS]], 1)


make = Colours


class Refusing(Colours):
    """Cannot be loaded; COLOURS_LOG gets a line for each try."""

    def __init__(self, spec, device):
        with open(os.environ["COLOURS_LOG"], "a") as file:
            file.write("refused\n")
        raise ModelError("these weights fit no model")


def make_image(colour, seed=0):
    """A PNG with noise, in which that colour leads."""
    pixels = np.random.default_rng(seed).integers(0, 100, (24, 40, 3), np.uint8)
    pixels[..., CHANNELS[colour]] += 120
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_images(folder, count):
    """A folder for each colour."""
    for number in range(count):
        colour = LABELS[number % 3]
        (folder / colour).mkdir(parents=True, exist_ok=True)
        (folder / colour / f"{number}.png").write_bytes(make_image(colour, number))


class Boxes(Colours):
    """A detector: one box, all of the picture, of its colour."""

    recipe = Recipe()

    def predict(self, images, sizes):
        found = []
        for image, (height, width) in zip(images, sizes, strict=True):
            means = image.float().mean((0, 1))
            label = torch.tensor([LABELS.index(min(CHANNELS, key=lambda name: -means[CHANNELS[name]].item()))])
            found.append((torch.tensor([[0.0, 0.0, float(width), float(height)]]), label, torch.ones(1)))
        return found
