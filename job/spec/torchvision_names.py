"""What torchvision can be asked for: its classification and detection models and the names of their weights.

`spec` checks a spec against it. It reads `torchvision.json`, which `python -m scripts.generate` writes from the
installed torchvision, so that a spec is checked where torchvision is not installed.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from job.terminal.spelling import did_you_mean

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".pth.tar")

_QUANTISED = "quantized_"
# What an enum's name ends in or holds, where it is of no use here, and why.
_UNUSABLE = {
    "_FEATURES": "are features without a classifier, and predict nothing",
    "_FBGEMM": "are quantised weights, for CPUs alone, and are not run here",
    "_QNNPACK": "are quantised weights, for CPUs alone, and are not run here",
}


def check_torchvision_name(name: str) -> None:
    """Raises ValueError for a name that torchvision gives to no classification or detection model."""
    if name.startswith(_QUANTISED) and (plain := name.removeprefix(_QUANTISED)) in _tasks():
        raise ValueError(f"quantised models run on CPUs alone and are not run here; use {plain}")
    if name not in _tasks():
        raise ValueError(
            "torchvision has no classification or detection model of this name" + did_you_mean(name, _tasks())
        )


def check_torchvision_task(name: str, task: str) -> None:
    """Raises ValueError where a known model does another task."""
    if _tasks().get(name, task) != task:
        raise ValueError(f"{name} can only {_tasks()[name]}")


def check_torchvision_weights(name: str | None, weights: str) -> None:
    """Raises ValueError unless `weights` is a name that the model has, `DEFAULT`, `none` or ends as a state dict.

    Where the model is not known (None) only the form is checked.
    """
    if weights.endswith(WEIGHTS_SUFFIXES):
        return
    if "/" in weights or "." in weights:
        raise ValueError(f"a state dict is read from {', '.join(WEIGHTS_SUFFIXES)}, not from this")
    if name is None:
        return
    options = ("DEFAULT", *_models()[_tasks()[name]][name], "none")
    if unusable := next((why for part, why in _UNUSABLE.items() if part in weights), None):
        raise ValueError(f"{unusable}; {name} has {', '.join(options)}")
    if weights not in options:
        raise ValueError(
            f"{name} has {', '.join(options)}; a state dict ends in {', '.join(WEIGHTS_SUFFIXES)}"
            + did_you_mean(weights, options)
        )


def check_torchvision_recipe(name: str, weights: str) -> None:
    """Raises ValueError unless the model has weights of this name, whose recipe is meant."""
    options = ("DEFAULT", *_models()[_tasks()[name]][name])
    if weights not in options:
        raise ValueError(
            f"{name} has the recipes of its weights {', '.join(options)}; another one is a mapping with resize and crop"
            + did_you_mean(weights, options)
        )


@cache
def _models() -> Mapping[str, Mapping[str, list[str]]]:
    """task → model → names of its weights, the oldest first."""
    models: Mapping[str, Mapping[str, list[str]]] = json.loads(
        files("job.spec").joinpath("torchvision.json").read_text(encoding="utf-8")
    )
    return models


@cache
def _tasks() -> Mapping[str, str]:
    """model → task."""
    return {name: task for task, names in _models().items() for name in names}
