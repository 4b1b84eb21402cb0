"""transformers' types of models that cannot be run, each with its reason; all others are.

`transformers` refuses by it, and the table of docs/models.md is made of it.
"""

import importlib.util
from collections.abc import Mapping
from typing import Any

from job.errors import ModelError

_TEXT = "finds regions of text in a map of pixels and knows no classes"
_PAGE = "orders the regions of a page for reading, by thresholds and outlines of its own"
# A model of this type is refused whatever its folder says.
_NEVER: Mapping[str, str] = {
    "dinat": "needs the library natten, which is not installed",
    "imagegpt": "takes the numbers of colours in a palette, not pixels",
    "pp_doclayout_v2": _PAGE,
    "pp_doclayout_v3": _PAGE,
    "pp_doclayout_v4": _PAGE,
    "pp_ocrv5_mobile_det": _TEXT,
    "pp_ocrv5_server_det": _TEXT,
    "pp_ocrv6_medium_det": _TEXT,
    "pp_ocrv6_small_det": _TEXT,
    "shieldgemma2": "is asked about a policy in words, and classifies nothing else",
    "siglip2": "takes patches, as many as an image's shape asks for, not pixels",
}
# Their own image processors do this; a folder with another one may work.
_BY_PROCESSOR: Mapping[str, str] = {
    "donut-swin": "turns tall images, shrinks them twice and pads them",
    "perceiver": "crops before it resizes",
    "textnet": "keeps an image's aspect ratio, and a batch to classify has one size",
}
_INSTEAD = "write a Predictor of kind python that calls it"


def refused_types() -> Mapping[str, str]:
    """type → why it is not run, with its own image processor."""
    return {**_NEVER, **_BY_PROCESSOR}


def check_type(model_type: str, name: str) -> None:
    """Raises ModelError where no model of this type can be run."""
    if model_type == "timm_wrapper":
        check_installed("timm", f"{name} is a model of timm's")
    why = _NEVER.get(model_type)
    if why and not (model_type == "dinat" and importlib.util.find_spec("natten")):
        raise ModelError(f"{name}: a model of type {model_type} {why}; {_INSTEAD}")


def explained(error: ModelError, model_type: str, name: str) -> ModelError:
    """The refusal of a type's usual image processor, in words."""
    why = _BY_PROCESSOR.get(model_type)
    return ModelError(f"{name}: the image processor of {model_type} {why}; {_INSTEAD}") if why else error


def check_installed(library: str, what: str) -> None:
    """Raises ModelError where an extra is missing that a model needs."""
    if importlib.util.find_spec(library) is None:
        raise ModelError(f"{what}, and {library} is not installed; pip install {library}, here and in the image")


def model_type_of(configuration: Mapping[str, Any]) -> str:
    """Of a `config.json`; timm's own have an architecture instead."""
    if "model_type" in configuration:
        return str(configuration["model_type"])
    return "timm_wrapper" if "pretrained_cfg" in configuration or "architecture" in configuration else ""
