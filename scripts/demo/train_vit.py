"""Trains the demo's small ViT and saves it as a Hugging Face folder; called by scripts.demo.train.

Shape suffixes: n images, t patches of an image, d hidden features, k classes.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from scripts.demo.arrays import Pixels, classified_arrays
from scripts.demo.batches import Batch, LabelledPixels
from scripts.demo.fitting import Course, Phase, fit, top1
from scripts.demo.motifs import CLASSES

SIDE, PATCH = 96, 12
TRAIN_COUNT, VAL_COUNT = 10_000, 2_000
HALF = (0.5, 0.5, 0.5)


class PatchTeacher(nn.Module):
    """A ViT in training, with a second head that names every patch: a class, or background.

    Ten thousand pictures with one label each are too few for a transformer to find out where to look; naming the
    patches, as in token labelling (arXiv 2104.10858), tells it. The head is dropped afterwards.
    """

    def __init__(self, vit: ViTForImageClassification) -> None:
        super().__init__()
        self.vit = vit
        self.patch_head = nn.Linear(vit.config.hidden_size, len(CLASSES) + 1)

    def forward(self, images_nchw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the pictures `[n, k]` and of their patches `[n, t, k + 1]`."""
        hidden_ntd = self.vit.vit(pixel_values=images_nchw).last_hidden_state
        return self.vit.classifier(hidden_ntd[:, 0]), self.patch_head(hidden_ntd[:, 1:])


def train_vit(out: Path) -> str:
    """Train, save `out/vit/` (configuration, weights, image processor) and return the figures reached."""
    train, val = classified_arrays("train", TRAIN_COUNT), classified_arrays("val", VAL_COUNT)
    course = Course(
        phases=(Phase(4, SIDE, focused=1.0), Phase(6, SIDE, focused=0.3), Phase(4, SIDE)),
        peak_lr=2e-3,
        muon=True,
        mean=HALF,
        std=HALF,
    )
    teacher = fit(
        PatchTeacher(_new_vit()), _loss, LabelledPixels(train.squashed, train.labels, train.squashed_spots), course
    )
    held_out = LabelledPixels(_resized(val.squashed), val.labels, val.squashed_spots)
    accuracy = top1(teacher.vit, _logits, held_out, course)
    save_vit(teacher.vit, out / "vit")
    return f"top-1 {accuracy:.2%} of {VAL_COUNT}"


def save_vit(model: ViTForImageClassification, folder: Path) -> None:
    """Save in half precision to keep the file small; the configuration has it loaded as float32."""
    model.half().save_pretrained(folder)
    model.config.dtype = torch.float32
    model.config.save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    ViTImageProcessor(size=size, image_mean=list(HALF), image_std=list(HALF)).save_pretrained(folder)


def _new_vit() -> ViTForImageClassification:
    names = dict(enumerate(name for _, name, _ in CLASSES))
    config = ViTConfig(
        image_size=SIDE,
        patch_size=PATCH,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        initializer_range=0.06,  # the default, 0.02, is meant for layers six times as wide
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    return ViTForImageClassification(config)


def _loss(teacher: PatchTeacher, batch: Batch) -> Tensor:
    logits_nk, patch_logits_ntk = teacher(batch.images)
    whole = nn.functional.cross_entropy(logits_nk, batch.labels, label_smoothing=0.05)
    patches_nt = _name_patches(batch, SIDE // PATCH)
    return whole + nn.functional.cross_entropy(patch_logits_ntk.flatten(0, 1), patches_nt.flatten())


def _name_patches(batch: Batch, grid: int) -> Tensor:
    """Return the class of each patch, row by row; one whose middle is not on the thing is background."""
    middles_t = (torch.arange(grid) + 0.5) / grid
    away_n2t = (middles_t - batch.spots[:, :2, None]).abs() / batch.spots[:, 2:, None]
    inside_n2t = away_n2t < 0.36  # things leave a seventh of their square free at each side
    on_thing_nt = (inside_n2t[:, 1, :, None] & inside_n2t[:, 0, None, :]).flatten(1)
    return torch.where(on_thing_nt, batch.labels[:, None], len(CLASSES))


def _logits(model: ViTForImageClassification, images_nchw: Tensor) -> Tensor:
    logits_nk: Tensor = model(pixel_values=images_nchw).logits
    return logits_nk


def _resized(pixels_nhwc: Pixels) -> Pixels:
    """Resize the cached squares to the model's size."""
    images_nchw = torch.from_numpy(np.array(pixels_nhwc)).permute(0, 3, 1, 2)
    resized: Pixels = resize(images_nchw, [SIDE, SIDE], antialias=True).permute(0, 2, 3, 1).numpy()
    return resized
