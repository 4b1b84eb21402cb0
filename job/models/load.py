"""Models: from the spec's `model` to a recipe, and to a predictor on a device.

The driver calls `load_recipe`, which reads configuration and no weights; each replica calls `load_predictor`. One
module for each kind, imported only when it is asked for: torch takes seconds to import, transformers more.
"""

import shutil
from typing import TYPE_CHECKING

from job.errors import ModelError
from job.models.model_files import check_model_files
from job.spec.spec import ModelSpec

if TYPE_CHECKING:
    from job.models.predictor import Predictor
    from job.recipe import Recipe

__all__ = ["load_predictor", "load_recipe"]

_COMPILERS = ("g++", "gcc", "clang", "cc")  # torch.compile writes C++ for a CPU, and C to launch what a GPU runs


def load_recipe(spec: ModelSpec) -> "Recipe":
    """How images become the model's input. Needs no GPU. Raises ModelError, also where `compile` cannot work."""
    if spec.compile and not any(shutil.which(compiler) for compiler in _COMPILERS):
        raise ModelError(
            f"model.compile is true and none of {', '.join(_COMPILERS)} is installed here; set it to false, or install "
            "a C++ compiler and Python's headers (in an image: g++ and python3-dev)"
        )
    check_model_files(spec)
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
