"""transformers' image processors as recipes: proposed from their configuration, then held against the processor itself.

A processor is code, of which its configuration tells only a part. So a recipe is taken only where it gives what the
processor gives, for images of several shapes; what no recipe can express is refused, not approximated.
"""

import dataclasses
from collections.abc import Iterator, Sequence
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
    if hasattr(processor, "val_transforms"):
        yield from _of_transforms(processor.val_transforms.transforms)
        return
    scale = processor.rescale_factor if getattr(processor, "do_rescale", False) else 1.0
    plain = Recipe(
        interpolation=_interpolation(processor),
        resampler="torch",
        crop_rounds="down",
        scale=scale,
        channels="BGR" if _flips(processor) else "RGB",
        orientation="apply",  # as `load_image`, which every pipeline of transformers calls
    )
    if getattr(processor, "do_normalize", False):
        plain = dataclasses.replace(plain, mean=_three(processor.image_mean), std=_three(processor.image_std))
    if getattr(processor, "rescale_offset", False):  # EfficientNet: from -1 to 1 before it normalises
        plain = dataclasses.replace(plain, mean=_three([mean + 1 for mean in plain.mean]))
    if getattr(processor, "resize_short", None):  # PP-LCNet: flips the channels after it has normalised them
        plain = dataclasses.replace(plain, mean=_three(plain.mean[::-1]), std=_three(plain.std[::-1]))
    crop = _crop(processor)
    for resize, own_crop in _resizes(processor):
        recipe = dataclasses.replace(plain, resize=resize, crop=own_crop or crop)
        yield recipe
        yield dataclasses.replace(recipe, resampler="torch without antialias")
        # EfficientNet divides by the deviation once more than it is told.
        yield dataclasses.replace(recipe, std=_three([deviation**2 for deviation in recipe.std]))
        if getattr(processor, "include_top", False):
            yield dataclasses.replace(recipe, std=_three(processor.image_std))


def _of_transforms(steps: Sequence[Any]) -> Iterator[Recipe]:
    """timm's: torchvision's own transforms, on Pillow images."""
    recipe = Recipe()
    for step in steps:
        match type(step).__name__:
            case "Resize":
                edges = [step.size] if isinstance(step.size, int) else list(step.size)
                resize = ShortestEdge(edges[0]) if len(edges) == 1 else Exactly(*edges)
                recipe = dataclasses.replace(recipe, resize=resize, interpolation=step.interpolation.value)
            case "CenterCrop":
                recipe = dataclasses.replace(recipe, crop=(int(step.size[0]), int(step.size[1])))
            case "Normalize":
                recipe = dataclasses.replace(recipe, mean=_three(step.mean), std=_three(step.std))
            case "MaybeToTensor" | "ToTensor":
                pass
            case _:
                return
    yield recipe


def _resizes(processor: Any) -> Iterator[tuple[Exactly | ShortestEdge | Within | None, tuple[int, int] | None]]:
    """Ways to read the configured size, each with the crop that belongs to it, if any."""
    size = getattr(processor, "size", None)
    if not getattr(processor, "do_resize", False) or size is None:
        yield None, None
    elif getattr(processor, "resize_short", None):  # PP-LCNet
        yield ShortestEdge(processor.resize_short, rounds="half to even"), None
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


def _flips(processor: Any) -> bool:
    return bool(getattr(processor, "do_flip_channel_order", False) or getattr(processor, "resize_short", None))


def _crop(processor: Any) -> tuple[int, int] | None:
    if not getattr(processor, "do_center_crop", False):
        return None
    return processor.crop_size.height, processor.crop_size.width


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = [values] * 3 if isinstance(values, int | float) else values
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
