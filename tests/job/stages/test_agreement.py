"""Labels of scaled and of exact decoding compared: a word in the notes of each image that has both, and of no other."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from models import make_model_spec

from job.errors import ImageError
from job.models.load import load_recipe
from job.models.predictor import Detection
from job.recipe import Recipe
from job.stages.decoded import FixedBlock, VariableBlock
from job.stages.pixel_budget import PixelBudget
from job.stages.predict import PredictStage

RED, GREEN = (np.full((32, 32, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 200, 0)))


def table(block, images, exact):
    """`exact` by row; None is an image that failed."""
    block.exact = exact
    for row, image in enumerate(images):
        place = block.take(row)
        if image is None:
            block.fail(place, ImageError("truncated", "half of it"))
        else:
            block.put(place, image.shape[:2], image, ("scaled",), PixelBudget(1).hold())
    rows = {name: pa.array([0] * len(images), pa.int32()) for name in ("shard", "row")}
    (decoded,) = block.tables(pa.table(rows))
    return decoded


def stage(name, task="classify", batch_size=2):
    spec = make_model_spec(kind="python", name=name, task=task)
    return PredictStage(spec, batch_size, "cpu", 1, load_recipe(spec))


def test_the_label_of_the_row_stays_that_of_the_scaled_image():
    decoded = table(FixedBlock(5, (32, 32)), [RED, RED, None, GREEN, RED], {1: RED, 3: RED})
    rows = stage("colours:make")(decoded)
    assert rows["label"].to_pylist() == ["red", "red", None, "green", "red"]
    notes = [["scaled"], ["scaled", "scaled-agrees"], None, ["scaled", "scaled-differs"], ["scaled"]]
    assert rows["image_notes"].to_pylist() == notes
    assert str(rows.schema.field("image_notes").type) == "list<item: string>"


@pytest.mark.parametrize("exact", [{}, None])
def test_where_none_was_decoded_exactly_notes_stay(exact):
    rows = stage("colours:make")(table(FixedBlock(2, (32, 32)), [RED, GREEN], exact))
    assert rows["image_notes"].to_pylist() == [["scaled"]] * 2


class Boxes:
    """A box of class 0 in every image, and one of class 1 in a bright one."""

    recipe = Recipe()
    labels = ("thing", "light")

    def __init__(self, spec, device):
        pass

    def predict(self, images, sizes):
        counts = [1 + int(image.float().mean() > 128) for image in images]
        boxes = torch.tensor([[0.0, 0, 5, 5], [0, 0, 9, 9]])
        return [Detection(boxes[:count], torch.arange(count), torch.ones(2)[:count]) for count in counts]


def test_boxes_are_compared_by_their_labels():
    bright, dark = np.full((24, 40, 3), 255, np.uint8), np.zeros((24, 40, 3), np.uint8)
    decoded = table(VariableBlock(3), [bright, bright, dark], {0: bright, 1: dark, 2: dark})
    rows = stage(f"{__name__}:Boxes", "detect")(decoded)
    assert [notes[1] for notes in rows["image_notes"].to_pylist()] == [
        "scaled-agrees",
        "scaled-differs",
        "scaled-agrees",
    ]
    assert [len(labels) for labels in rows["labels"].to_pylist()] == [2, 2, 1]
