"""Recipes of torchvision's models: the spec's own, those of published weights, and what is assumed for a state dict."""

import logging
from collections.abc import Mapping
from typing import cast

from torchvision.models import WeightsEnum, get_model_weights

from job.models.recipe_text import recipe_text
from job.recipe import Exactly, Recipe, ShortestEdge
from job.spec.spec import ModelSpec, RecipeSpec
from job.spec.torchvision_names import WEIGHTS_SUFFIXES

_DRAWN = {"maskrcnn": "masks", "keypointrcnn": "keypoints"}  # by the beginning of a name: what a run has no column for
_SCRIPTS_RESIZE = 256  # --val-resize-size of references/classification/train.py

log = logging.getLogger(__name__)


def load_recipe(spec: ModelSpec) -> Recipe:
    """Of `model.recipe` or the named weights; else that of the architecture's newest weights, and says so."""
    recipe = recipe_of_spec(spec)
    if spec.task == "detect":
        for part in _DRAWN:
            if spec.name.startswith(part):
                log.warning("%s: a run keeps its boxes, labels and scores; %s are left out", spec.name, _DRAWN[part])
    elif spec.recipe is None and _is_file(spec.weights):
        log.warning("%s", _assumed(spec, recipe))
    return recipe


def recipe_of_spec(spec: ModelSpec) -> Recipe:
    """The same, without a word."""
    if spec.task == "detect":
        return Recipe()  # detection networks resize and normalise by themselves
    if isinstance(spec.recipe, RecipeSpec):
        return _recipe_of_steps(spec.recipe)
    weights = _enums(spec.name)[spec.recipe] if spec.recipe else enum_of(spec) or default_enum(spec.name)
    if weights is None:
        return Recipe(ShortestEdge(256), crop=(224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    preset = weights.transforms()
    crop, resize = preset.crop_size[0], preset.resize_size[0]
    return Recipe(
        resize=ShortestEdge(resize),
        interpolation=preset.interpolation.value,
        crop=(crop, crop),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _recipe_of_steps(steps: RecipeSpec) -> Recipe:
    resize, crop = steps.resize, steps.crop
    return Recipe(
        resize=ShortestEdge(resize) if isinstance(resize, int) else Exactly(*resize),
        interpolation=steps.interpolation,
        crop=(crop, crop) if isinstance(crop, int) else crop,
        mean=steps.mean,
        std=steps.std,
    )


def _assumed(spec: ModelSpec, recipe: Recipe) -> str:
    weights = default_enum(spec.name)
    whose = f"{spec.name}'s newest weights, {weights.name}" if weights else "most of torchvision's weights"
    if isinstance(recipe.resize, ShortestEdge) and recipe.resize.pixels != _SCRIPTS_RESIZE:
        trained = f"torchvision's training script evaluates at {_SCRIPTS_RESIZE} unless told otherwise; "
    else:
        trained = ""
    return (
        f"model.recipe is not given, and {spec.weights} does not tell how its images were prepared; taking the recipe "
        f"of {whose}: {recipe_text(recipe)}; {trained}give model.recipe what it was trained with"
    )


def enum_of(spec: ModelSpec) -> WeightsEnum | None:
    """The published weights that the spec names; None for random ones and for a state dict."""
    if spec.weights == "none" or _is_file(spec.weights):
        return None
    return _enums(spec.name)[spec.weights]


def _is_file(weights: str) -> bool:
    return weights.endswith(WEIGHTS_SUFFIXES)


def default_enum(name: str) -> WeightsEnum | None:
    """The architecture's newest weights; None where it has none."""
    return _enums(name).get("DEFAULT")


def _enums(name: str) -> Mapping[str, WeightsEnum]:
    return cast(Mapping[str, WeightsEnum], get_model_weights(name).__members__)
