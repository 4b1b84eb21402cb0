"""torchvision's classification and detection models, by name; weights by enum, from a state dict, or none."""

import urllib.error
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torchvision.models import Weights, WeightsEnum, get_model, get_model_weights

from job.errors import ModelError
from job.models.class_names import check_labels, read_labels
from job.models.classifier import NetworkClassifier
from job.models.detector import TorchvisionDetector
from job.models.device import Placement
from job.models.predictor import Predictor
from job.models.weights import StateDict, fetch, node_lock, read_state_dict
from job.recipe import Recipe, ShortestEdge
from job.spec.spec import ModelSpec
from job.spec.torchvision_names import WEIGHTS_SUFFIXES

_RANDOM_SEED = 0
# These two carry training-only heads, which torchvision's own weights lack, and would spend seconds on their own init.
_AUXILIARY = {"googlenet": "aux1.", "inception_v3": "AuxLogits."}
_BACKGROUND = "__background__"

Network = torch.nn.Module


def load_recipe(spec: ModelSpec) -> Recipe:
    """Of the named weights; a state dict and random weights take that of the architecture's default weights."""
    if spec.task == "detect":
        return Recipe()  # detection networks resize and normalise by themselves
    weights = _enum(spec) or _default_enum(spec.name)
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


def load_predictor(spec: ModelSpec, device: str) -> Predictor:
    """Raises ModelError where weights, labels and architecture do not fit together.

    `weights: none` draws them from a fixed seed: a rerun gives the same predictions.
    """
    weights = _enum(spec)
    if weights:
        network, labels = _with_enum(spec, weights), _labels(spec, list(weights.meta["categories"]))
    else:
        network, labels = _with_state_dict(spec) if spec.weights != "none" else _with_random_weights(spec)
    placement = Placement.of(spec, device)
    if spec.task == "detect":
        return TorchvisionDetector(network, labels, placement)
    return NetworkClassifier(network, load_recipe(spec), labels, placement)


def _with_enum(spec: ModelSpec, weights: WeightsEnum) -> Network:
    url = cast(Weights, weights.value).url
    cached = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    try:
        with node_lock(cached.name):
            if not cached.is_file():
                weights.get_state_dict(progress=False, check_hash=True)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise ModelError(
            f"{spec.name}: cannot fetch {url} ({error}); put the file at {cached}, or name a state dict of your own "
            "store in model.weights"
        ) from error
    network: Network = get_model(spec.name, weights=weights, progress=False)
    return network


def _with_state_dict(spec: ModelSpec) -> tuple[Network, list[str]]:
    state = read_state_dict(fetch(spec.weights))
    extra = {"aux_logits": _has_auxiliary(spec.name, state)} if spec.name in _AUXILIARY else {}
    classes = _count_classes(spec, lambda count: _build(spec, count, **extra), state)
    labels = _labels(spec, [str(index) for index in range(classes)])
    network = _build(spec, classes, **extra)
    try:
        problems = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{spec.weights} does not fit {spec.name}: {error}") from error
    if problems.missing_keys or problems.unexpected_keys:
        lacks = f"it lacks {_some(problems.missing_keys)}" if problems.missing_keys else ""
        has = f"it has {_some(sorted(problems.unexpected_keys))} too many" if problems.unexpected_keys else ""
        raise ModelError(f"{spec.weights} does not fit {spec.name}: {' and '.join(filter(None, (lacks, has)))}")
    return network, labels


def _with_random_weights(spec: ModelSpec) -> tuple[Network, list[str]]:
    names = read_labels(spec.labels) if spec.labels else None
    default = _default_enum(spec.name)
    classes = len(names) if names else len(default.meta["categories"]) if default else 1000
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        return _build(spec, classes), names or [str(index) for index in range(classes)]


def _build(spec: ModelSpec, classes: int, **extra: Any) -> Network:
    extra |= {"weights_backbone": None} if spec.task == "detect" else {}
    extra |= {"init_weights": False} if spec.name in _AUXILIARY else {}
    network: Network = get_model(spec.name, weights=None, num_classes=classes, **extra)
    return network


def _count_classes(spec: ModelSpec, build: Callable[[int], Network], state: StateDict) -> int:
    """Classes of a state dict, from the first tensor whose shape depends on their number, whatever the architecture."""
    if spec.name.startswith("regnet"):  # computes its widths with tensors, so it cannot be built without memory
        return len(state.get("fc.bias", (0, 1)))
    with torch.device("meta"):
        of_two, of_three = build(2).state_dict(), build(3).state_dict()
    for key, tensor in of_two.items():
        each = len(of_three[key]) - len(tensor) if tensor.ndim else 0
        if each and key in state:
            return 2 + (len(state[key]) - len(tensor)) // each
    return 2  # another architecture's: loading will say which tensors are missing


def _has_auxiliary(name: str, state: StateDict) -> bool:
    return any(key.startswith(_AUXILIARY[name]) for key in state)


def _labels(spec: ModelSpec, own: list[str]) -> list[str]:
    """The names that `model.labels` gives, else the model's `own`, which also count the classes."""
    if not spec.labels:
        return own
    names = read_labels(spec.labels)
    if spec.task == "detect" and len(names) == len(own) - 1:
        names = [_BACKGROUND, *names]  # detectors count it, people's lists of names do not
    check_labels(names, len(own), f"{spec.name} with {spec.weights}", spec.labels)
    return names


def _enum(spec: ModelSpec) -> WeightsEnum | None:
    if spec.weights == "none" or spec.weights.endswith(WEIGHTS_SUFFIXES):
        return None
    return _enums(spec.name)[spec.weights]


def _default_enum(name: str) -> WeightsEnum | None:
    return _enums(name).get("DEFAULT")


def _enums(name: str) -> Mapping[str, WeightsEnum]:
    return cast(Mapping[str, WeightsEnum], get_model_weights(name).__members__)


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
