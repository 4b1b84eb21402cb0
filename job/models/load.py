"""Models: from the spec's `model` to a recipe, and to a predictor on a device.

The driver calls `load_recipe`, which reads configuration and no weights; each replica calls `load_predictor`. One
module for each kind, imported only when it is asked for: torch takes seconds to import, transformers more.
"""

import shutil
import socket
from typing import TYPE_CHECKING

from job.errors import ModelError
from job.models.identity import identify
from job.models.model_files import check_model_files, search_module_folders
from job.spec.spec import ModelSpec

if TYPE_CHECKING:
    from job.models.predictor import Predictor
    from job.models.resolve import ResolvedModel
    from job.recipe import Recipe

__all__ = ["describe_recipe", "load_predictor", "load_recipe", "load_resolved", "read_recipe"]

_COMPILERS = ("g++", "gcc", "clang", "cc")  # torch.compile writes C++ for a CPU, and C to launch what a GPU runs


def load_recipe(spec: ModelSpec) -> "Recipe":
    """How images become the model's input. Needs no GPU. Raises ModelError, also where `compile` cannot work."""
    check_model_files(spec)
    return read_recipe(spec)


def read_recipe(spec: ModelSpec) -> "Recipe":
    """As `load_recipe`, where the model's files have been looked for: in buckets, that is a request each."""
    if spec.compile and not any(shutil.which(compiler) for compiler in _COMPILERS):
        raise ModelError(
            f"model.compile is true and none of {', '.join(_COMPILERS)} is installed here; set it to false, or install "
            "a C++ compiler and Python's headers (in an image: g++ and python3-dev)"
        )
    if spec.kind == "torchvision":
        from job.models.torchvision import load_recipe as load
    elif spec.kind == "transformers":
        from job.models.transformers import load_recipe as load
    else:
        from job.models.python import load_recipe as load
    recipe = load(spec)
    if spec.task == "classify" and recipe.size is None:
        raise ModelError(f"{spec.name}: its recipe gives images of different sizes, and a batch to classify has one")
    return recipe


def load_resolved(model: "ResolvedModel", device: str, threads: int) -> "Predictor":
    """As `load_predictor`, the very model that the driver resolved. Raises ModelError where this node has another."""
    spec = model.spec
    if spec.kind == "python":
        search_module_folders(model.module_folders)
    if model.staged and spec.kind == "torchvision":
        from job.models.torchvision import fetch_weights

        fetch_weights(spec, model.staged)
    elif model.staged:
        spec = spec.model_copy(update={"name": model.staged, "revision": None})
    for name, commit in model.frozen.bases.items():
        from job.models.hub import tell

        place = model.staged_bases.get(name)
        tell(name, place or name, None if place else commit)
    predictor = load_predictor(spec, device, threads)
    # After it was loaded: what is compared now cannot be replaced before it is read.
    here = identify(model.spec)
    if differences := [name for name in here if here[name] != model.frozen.files.get(name)]:
        raise ModelError(
            f"{model.spec.name}: {', '.join(differences[:3])} on {socket.gethostname()} is another than the driver has;"
            " give every node the same files, or put them into a bucket"
        )
    return predictor


def describe_recipe(spec: ModelSpec) -> str:
    """The recipe in words. Raises ModelError, as `load_recipe` does."""
    recipe = load_recipe(spec)
    from job.models.recipe_text import recipe_text

    return recipe_text(recipe)


def load_predictor(spec: ModelSpec, device: str, threads: int) -> "Predictor":
    """The model on `device` ("cpu", "cuda:0"), using `threads` of the CPU where it runs there. Raises ModelError."""
    from job.models.device import use_threads

    use_threads(threads)
    if spec.kind == "torchvision":
        from job.models.torchvision import load_predictor as load
    elif spec.kind == "transformers":
        from job.models.transformers import load_predictor as load
    else:
        from job.models.python import load_predictor as load
    return load(spec, device)
