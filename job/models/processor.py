"""transformers' image processors as recipes: proposed from their configuration, then held against the processor itself.

A processor is code, of which its configuration tells only a part. So a recipe is taken only where it gives what the
processor gives, for images of several shapes; what no recipe can express is refused, not approximated.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from job.errors import ImageError, ModelError
from job.models.device import ToInput
from job.recipe import Exactly, Interpolation, Pixels, Recipe, ShortestEdge, Within

# (height, width): odd margins, enlarged, upright, and larger than any input, so that antialiasing shows.
_PROBES = ((231, 307), (40, 61), (640, 480), (1200, 1500))
_TOLERANCE_LSB = (
    1.1  # nearly all resize uint8 with torch, as the recipes do, and differ by nothing; a few resize floats
)


def recipe_of(processor: Any, name: str) -> Recipe:
    """The recipe that does what the processor does. Raises ModelError where there is none."""
    try:
        wanted = [(image, _process(processor, image)) for image in map(_noise, _PROBES)]
    except Exception as error:
        kind = type(processor).__name__
        raise ModelError(f"{name}: its image processor, {kind}, fails on an image: {error}") from error
    for recipe in _proposals(processor):
        if all(_gives(recipe, image, pixels) for image, pixels in wanted):
            return recipe
    raise ModelError(
        f"{name}: its image processor, {type(processor).__name__}, does more than resize, crop and normalise; write a "
        "Predictor of kind python that calls it"
    )


def _proposals(processor: Any) -> Iterator[Recipe]:
    plain = Recipe(
        interpolation=_interpolation(processor),
        resampler="torch",
        crop_rounds="down",
        scale=processor.rescale_factor if processor.do_rescale else 1.0,
        channels="BGR" if getattr(processor, "do_flip_channel_order", False) else "RGB",
        orientation="apply",  # as `load_image`, which every pipeline of transformers calls
    )
    if getattr(processor, "do_normalize", False):
        plain = dataclasses.replace(plain, mean=_three(processor.image_mean), std=_three(processor.image_std))
    crop = _crop(processor)
    for resize, own_crop in _resizes(processor):
        recipe = dataclasses.replace(plain, resize=resize, crop=own_crop or crop)
        yield recipe
        yield dataclasses.replace(recipe, resampler="torch without antialias")
        # EfficientNet divides by the deviation twice.
        yield dataclasses.replace(recipe, std=_three([deviation**2 for deviation in recipe.std]))


def _resizes(processor: Any) -> Iterator[tuple[Exactly | ShortestEdge | Within | None, tuple[int, int] | None]]:
    """Ways to read the configured size, each with the crop that belongs to it, if any."""
    size = processor.size
    if not getattr(processor, "do_resize", False) or size is None:
        yield None, None
    elif size.height and size.width:
        yield Exactly(size.height, size.width), None
    elif size.max_height and size.max_width:
        yield Within(size.max_height, size.max_width), None
    elif size.shortest_edge:
        edge = size.shortest_edge
        yield ShortestEdge(edge, size.longest_edge), None
        yield ShortestEdge(edge, size.longest_edge, multiple=16), None  # YOLOS
        yield Exactly(edge, edge), None  # ConvNeXt from 384 on
        if crop_pct := getattr(processor, "crop_pct", None):
            yield ShortestEdge(int(edge / crop_pct)), (edge, edge)  # ConvNeXt below, PoolFormer
            yield ShortestEdge(int(edge / crop_pct)), None
        yield ShortestEdge(int(256 / 224 * edge)), None  # LeViT


def _interpolation(processor: Any) -> Interpolation:
    resample = getattr(processor, "resample", None)
    name = Image.Resampling(Image.Resampling.BILINEAR if resample is None else int(resample)).name.lower()
    return cast(Interpolation, name)


def _crop(processor: Any) -> tuple[int, int] | None:
    if not getattr(processor, "do_center_crop", False):
        return None
    return processor.crop_size.height, processor.crop_size.width


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _noise(size: tuple[int, int]) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


def _process(processor: Any, image: Pixels) -> torch.Tensor:
    """[3, h, w], without what was added on the right and below to fill a fixed size."""
    inputs = processor(images=[Image.fromarray(image)], return_tensors="pt")
    pixels: torch.Tensor = inputs["pixel_values"][0]
    if getattr(processor, "pad_size", None) and "pixel_mask" in inputs:
        height, width = (int(inputs["pixel_mask"][0].any(axis).sum()) for axis in (1, 0))
        pixels = pixels[:, :height, :width]
    return pixels


def _gives(recipe: Recipe, image: Pixels, wanted: torch.Tensor) -> bool:
    try:
        prepared = torch.from_numpy(recipe.apply(image))[None]
    except ImageError:
        return False
    given = ToInput(recipe, "cpu", torch.float32)(prepared)[0]
    if given.shape != wanted.shape:
        return False
    lsb = recipe.scale / torch.tensor(recipe.std)[:, None, None]
    return bool(((given - wanted) / lsb).abs().max() <= _TOLERANCE_LSB)
