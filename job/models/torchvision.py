"""torchvision's classification and detection models, by name; weights by enum, from a state dict, or none."""

import os
import shutil
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torchvision.models import Weights, WeightsEnum, get_model

from job.errors import ModelError
from job.models.checkpoint import StateDict, read_state_dict
from job.models.class_count import count_classes
from job.models.class_names import check_labels, read_labels
from job.models.classifier import NetworkClassifier
from job.models.detector import TorchvisionDetector
from job.models.device import Placement
from job.models.predictor import Predictor
from job.models.torchvision_recipe import default_enum, enum_of, load_recipe, recipe_of_spec
from job.models.weights import fetch, node_lock
from job.spec.class_list import BACKGROUND
from job.spec.spec import ModelSpec

__all__ = ["load_predictor", "load_recipe"]

_RANDOM_SEED = 0
# These two carry training-only heads, which torchvision's own weights lack, and would spend seconds on their own init.
_AUXILIARY = {"googlenet": "aux1.", "inception_v3": "AuxLogits."}

Network = torch.nn.Module


def load_predictor(spec: ModelSpec, device: str) -> Predictor:
    """Raises ModelError where weights, labels and architecture do not fit together.

    `weights: none` draws them from a fixed seed: a rerun gives the same predictions.
    """
    weights = enum_of(spec)
    if weights:
        network, labels = _with_enum(spec, weights), _labels(spec, list(weights.meta["categories"]))
    else:
        network, labels = _with_state_dict(spec) if spec.weights != "none" else _with_random_weights(spec)
    placement = Placement.of(spec, device)
    if spec.task == "detect":
        return TorchvisionDetector(network, labels, placement)
    return NetworkClassifier(network, recipe_of_spec(spec), labels, placement)


def fetch_weights(spec: ModelSpec, staged: str | None = None) -> Path:
    """torchvision's own file, in torch's cache on this node; fetched from torchvision, or from where it is staged."""
    weights = cast(WeightsEnum, enum_of(spec))
    url = cast(Weights, weights.value).url
    cached = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    try:
        with node_lock(cached.name):
            if not cached.is_file() and staged:
                cached.parent.mkdir(parents=True, exist_ok=True)
                temporary = cached.with_name(f".{cached.name}.{os.getpid()}")
                shutil.copyfile(fetch(f"{staged}/{cached.name}"), temporary)
                temporary.replace(cached)
            elif not cached.is_file():
                weights.get_state_dict(progress=False, check_hash=True)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise ModelError(
            f"{spec.name}: cannot fetch {url} ({error}); put the file at {cached}, or name a state dict of your own "
            "store in model.weights"
        ) from error
    return cached


def _with_enum(spec: ModelSpec, weights: WeightsEnum) -> Network:
    fetch_weights(spec)
    network: Network = get_model(spec.name, weights=weights, progress=False)
    return network


def _with_state_dict(spec: ModelSpec) -> tuple[Network, list[str]]:
    state = read_state_dict(fetch(spec.weights), spec.weights_key)
    extra = {"aux_logits": _has_auxiliary(spec.name, state)} if spec.name in _AUXILIARY else {}
    # Where nothing tells the classes it is another architecture's, and loading says which tensors are missing.
    classes = _count_classes(spec, lambda count: _build(spec, count, **extra), state) or 2
    network = _build(spec, classes, **extra)
    _load(network, state, spec)
    return network, _labels(spec, [str(index) for index in range(classes)])


def _load(network: Network, state: StateDict, spec: ModelSpec) -> None:
    """Raises ModelError with the tensors that are missing, too many, or of another shape."""
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
        sizes: list[str] = []
    except RuntimeError as error:
        names = network.state_dict()
        missing = [name for name in names if name not in state and not name.endswith("num_batches_tracked")]
        unexpected = [name for name in state if name not in names]
        sizes = [line.strip() for line in str(error).splitlines() if "size mismatch" in line] or [str(error)]
    problems = [f"it lacks {_some(missing)}"] if missing else []
    problems += [f"it has {_some(sorted(unexpected))} too many"] if unexpected else []
    problems = problems or sizes[:1]
    if problems:
        raise ModelError(f"{spec.weights} does not fit {spec.name}: {' and '.join(problems)}")


def _with_random_weights(spec: ModelSpec) -> tuple[Network, list[str]]:
    names = read_labels(spec.labels) if spec.labels else None
    default = default_enum(spec.name)
    classes = len(names) if names else len(default.meta["categories"]) if default else 1000
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        return _build(spec, classes), names or [str(index) for index in range(classes)]


def _build(spec: ModelSpec, classes: int, **extra: Any) -> Network:
    extra |= {"weights_backbone": None} if spec.task == "detect" else {}
    extra |= {"init_weights": False} if spec.name in _AUXILIARY else {}
    network: Network = get_model(spec.name, weights=None, num_classes=classes, **extra)
    return network


def _count_classes(spec: ModelSpec, build: Callable[[int], Network], state: StateDict) -> int | None:
    if spec.name.startswith("regnet"):  # computes its widths with tensors, so it cannot be built without memory
        return len(state["fc.bias"]) if "fc.bias" in state else None
    return count_classes(build, {key: len(tensor) for key, tensor in state.items() if tensor.ndim})


def _has_auxiliary(name: str, state: StateDict) -> bool:
    return any(key.startswith(_AUXILIARY[name]) for key in state)


def _labels(spec: ModelSpec, own: list[str]) -> list[str]:
    """The names that `model.labels` gives, else the model's `own`, which also count the classes."""
    if not spec.labels:
        return own
    names = read_labels(spec.labels)
    if spec.task == "detect" and len(names) == len(own) - 1:
        names = [BACKGROUND, *names]  # detectors count it, people's lists of names do not
    check_labels(names, len(own), f"{spec.name} with {spec.weights}", spec.labels)
    return names


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
