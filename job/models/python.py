"""Models of kind `python`: a factory of the user's own, named `module:factory`."""

import importlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

from job.errors import ModelError
from job.models.model_files import search_module_folders, searched
from job.models.predictor import Predictor
from job.models.user_lines import described
from job.recipe import Recipe
from job.spec.spec import ModelSpec


def load_recipe(spec: ModelSpec) -> Recipe:
    """The factory's own `recipe` where it has one, else that of the predictor it makes."""
    factory = _factory(spec.name)
    recipe = getattr(factory, "recipe", None)
    if recipe is None or isinstance(recipe, (property, cached_property)):  # a class whose instances have one
        recipe = load_predictor(spec, "cpu").recipe
    if not isinstance(recipe, Recipe):
        raise ModelError(f"{spec.name}: its recipe is a {type(recipe).__name__}; it must be a job.recipe.Recipe")
    return recipe


def load_predictor(spec: ModelSpec, device: str) -> Predictor:
    """What the factory returns. Raises ModelError where it is no predictor or the factory fails."""
    try:
        predictor = _factory(spec.name)(spec, device)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{spec.name}(spec, {device!r}) raised {described(error)}") from error
    missing = [name for name in ("recipe", "labels", "predict") if not hasattr(predictor, name)]
    if missing:
        raise ModelError(
            f"{spec.name} returned a {type(predictor).__name__} without {', '.join(missing)}; "
            "see Predictor in job/models/predictor.py"
        )
    return cast(Predictor, predictor)


def _factory(name: str) -> Callable[[ModelSpec, str], Any]:
    module_name, _, attribute = name.partition(":")
    folders = search_module_folders()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ModelError(f"{name}: importing {module_name} raised {described(error)}\n  {searched(folders)}") from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        found = "no such name" if factory is None else f"a {type(factory).__name__}"
        raise ModelError(f"{name}: {module_name} has {found} where a factory (spec, device) -> Predictor is wanted")
    return cast(Callable[[ModelSpec, str], Any], factory)
