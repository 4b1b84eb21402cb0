"""What torchvision can be asked for: its classification and detection models and the names of their weights.

`spec` checks a spec against it. It reads `torchvision.json`, which `python -m scripts.generate` writes from the
installed torchvision, so that a spec is checked where torchvision is not installed.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from job.terminal.spelling import did_you_mean

WEIGHTS_SUFFIXES = (".safetensors", ".pth")


def check_torchvision_name(name: str) -> None:
    """Raises ValueError for a name that torchvision gives to no classification or detection model."""
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
        raise ValueError(f"a state dict is read from {' and '.join(WEIGHTS_SUFFIXES)}, not from this")
    if name is None:
        return
    options = ("DEFAULT", *_models()[_tasks()[name]][name], "none")
    if weights not in options:
        raise ValueError(
            f"{name} has {', '.join(options)}; a state dict ends in {' or '.join(WEIGHTS_SUFFIXES)}"
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
