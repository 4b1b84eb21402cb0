"""Specs of models, and pictures to give them, for the tests of `job.models.load` and `job.stages.predict`."""

import numpy as np
import pyarrow as pa
from PIL import Image

from job.errors import ImageError
from job.spec.spec import ModelSpec
from job.stages.decoded import FixedBlock, VariableBlock
from job.stages.pixel_budget import PixelBudget


def make_model_spec(**fields):
    return ModelSpec.model_validate(
        {"kind": "torchvision", "name": "shufflenet_v2_x0_5", "precision": "float32", **fields}
    )


def make_photo(height, width, seed=0):
    """Smooth colours with grain, [height, width, 3]."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 30 + 2, width // 30 + 2, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return np.clip(smooth + random.normal(0, 6, (height, width, 1)), 0, 255).astype(np.uint8)


def make_decoded(recipe, images):
    """The table that the decode stage makes of these; None is an image that failed."""
    block = FixedBlock(len(images), recipe.size) if recipe.size else VariableBlock(len(images))
    for number, image in enumerate(images):
        index = block.take(number)
        if image is None:
            block.fail(index, ImageError("truncated", "half of it"))
        else:
            block.put(index, image.shape[:2], recipe.apply(image), (), PixelBudget(1).hold())
    rows = {"shard": pa.array([3] * len(images), pa.int32()), "row": pa.array(range(len(images)), pa.int32())}
    (table,) = block.tables(pa.table(rows))
    return table
