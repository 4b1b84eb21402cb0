"""transformers' image classification and object detection models, from a hub id, a local folder or a bucket's.

A model of the hub is brought into its cache first and read from there; only safetensors, and no code of its own.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
import transformers
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification, AutoModelForObjectDetection

from job.errors import ModelError
from job.models.class_count import count_classes
from job.models.class_names import check_labels, read_labels
from job.models.classifier import NetworkClassifier, Scores
from job.models.device import Placement
from job.models.hub import snapshot, told_of
from job.models.identity import CONFIGURATION, file_patterns, is_on_hub
from job.models.model_files import check_is_there
from job.models.predictor import Predictor
from job.models.processor import recipe_of
from job.models.transformers_adapter import base_of, merged, trained_lengths, without_adapter
from job.models.transformers_detector import TransformersDetector
from job.models.transformers_types import check_type, explained, model_type_of
from job.models.weights import fetch_folder
from job.recipe import Recipe
from job.spec.spec import ModelSpec
from job.stores.storage import is_bucket
from job.terminal.wording import shorten

_RANDOM_SEED = 0

transformers.utils.logging.disable_progress_bar()
transformers.logging.set_verbosity_error()  # its report of missing tensors is our ModelError


def load_recipe(spec: ModelSpec) -> Recipe:
    """Of the image processor that the model's configuration names. Raises ModelError for what cannot be run."""
    files = _files(spec, CONFIGURATION)
    model_type = _model_type(files)
    check_type(model_type, spec.name)
    try:
        recipe = recipe_of(_processor(spec, files), spec.name)
    except ModelError as error:
        raise explained(error, model_type, spec.name) from error
    if spec.task == "classify" and recipe.size is None:
        differing = ModelError(f"{spec.name}: its image processor gives images of different sizes, and a batch has one")
        raise explained(differing, model_type, spec.name)
    return recipe


def load_predictor(spec: ModelSpec, device: str) -> Predictor:
    """Raises ModelError where the files are not there or not whole; `weights: none` draws them from a fixed seed."""
    files = _files(spec, file_patterns(spec))
    check_type(_model_type(files), spec.name)
    network = _network(spec, files)
    labels = _labels(spec, network.config)
    processor = _processor(spec, files)
    recipe, placement = recipe_of(processor, spec.name), Placement.of(spec, device)
    if spec.task == "detect":
        return TransformersDetector(network, recipe, labels, placement, processor)
    return NetworkClassifier(_Logits(network), recipe, labels, placement, _scores(network.config))


class _Files(NamedTuple):
    """Where a model's files are: in one folder, but for an adapter."""

    folder: Path
    base: Path
    is_adapter: bool


def _files(spec: ModelSpec, patterns: Sequence[str]) -> _Files:
    folder = _folder(spec, patterns)
    base = base_of(folder, spec.name)
    if base is None:
        return _Files(folder, folder, False)
    if base == str(folder):
        return _Files(folder, folder, True)
    # A replica is told where the base lies, or its commit.
    place, commit = told_of(base)
    return _Files(folder, _folder(spec.model_copy(update={"name": place, "revision": commit}), patterns), True)


def _model_type(files: _Files) -> str:
    configuration = files.base / "config.json"
    return model_type_of(json.loads(configuration.read_bytes())) if configuration.is_file() else ""


class _Logits(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels_nchw: torch.Tensor) -> torch.Tensor:
        outputs = self.network(pixel_values=pixels_nchw)
        # PP-LCNet gives its logits by the other name, at which transformers' own pipeline fails.
        logits: torch.Tensor = outputs.logits if "logits" in outputs else outputs.last_hidden_state
        return logits


def _folder(spec: ModelSpec, patterns: Sequence[str]) -> Path:
    if is_on_hub(spec):
        check_is_there(spec.name)
        return snapshot(spec.name, spec.revision, patterns)
    return fetch_folder(spec.name, patterns) if is_bucket(spec.name) else Path(spec.name).expanduser()


def _network(spec: ModelSpec, files: _Files) -> Any:
    auto = AutoModelForObjectDetection if spec.task == "detect" else AutoModelForImageClassification
    config = _read(spec, lambda: AutoConfig.from_pretrained(files.base, trust_remote_code=False))
    if spec.weights == "none":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_RANDOM_SEED)
            return _read(spec, lambda: auto.from_config(config, trust_remote_code=False))
    _check_weights(spec, files.base)
    trained = trained_lengths(files.folder, spec.name) if files.is_adapter else {}
    classes = _count_classes(spec, files, config, trained)
    if classes and classes != config.num_labels:
        config.num_labels = classes
    network, found = _read_weights(spec, auto, files, config)
    mismatched = [key[0] if isinstance(key, tuple) else str(key) for key in found["mismatched_keys"]]
    lacking = [key for key in (*sorted(found["missing_keys"]), *sorted(mismatched)) if key not in trained]
    if lacking:
        raise ModelError(
            f"{spec.name}: its weights lack {', '.join(lacking[:3])} of {type(network).__name__}; "
            f"it was not trained to {spec.task}"
        )
    return _read(spec, lambda: merged(network, files.folder, spec.name)) if files.is_adapter else network


def _read_weights(spec: ModelSpec, auto: Any, files: _Files, config: Any) -> tuple[Any, Any]:
    """The network, and what its files lack. An adapter brings the base model's head."""
    with without_adapter(files.base) if files.is_adapter else nullcontext(files.base) as base:
        loaded: tuple[Any, Any] = _read(
            spec,
            lambda: auto.from_pretrained(
                base,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=files.is_adapter,
            ),
        )
    return loaded


def _check_weights(spec: ModelSpec, folder: Path) -> None:
    if any(folder.glob("model*.safetensors")):
        return
    pickled = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    has = f"{pickled[0]}, a pickle" if pickled else "none"
    raise ModelError(
        f"{spec.name}: cannot be loaded to {spec.task}, for it has no model.safetensors (it has {has}); "
        "save it with model.save_pretrained(folder)"
    )


def _count_classes(spec: ModelSpec, files: _Files, config: Any, trained: Mapping[str, int]) -> int | None:
    """Of the weights, where the configuration does not say: `id2label: null`, and the base of an adapter."""
    written = json.loads((files.base / "config.json").read_bytes())
    is_said = written.get("id2label") or written.get("num_labels") or config.model_type == "timm_wrapper"
    if is_said and not trained:
        return None
    auto = AutoModelForObjectDetection if spec.task == "detect" else AutoModelForImageClassification

    def build(classes: int) -> torch.nn.Module:
        copied = copy.deepcopy(config)
        copied.num_labels = classes
        network: torch.nn.Module = auto.from_config(copied, trust_remote_code=False)
        return network

    lengths = dict(trained) or {
        key: shape[0] for path in files.base.glob("model*.safetensors") for key, shape in _shapes(path) if shape
    }
    classes: int | None = _read(spec, lambda: count_classes(build, lengths))
    return classes


def _shapes(path: Path) -> Iterator[tuple[str, list[int]]]:
    with safetensors.safe_open(path, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 - it is no mapping
            yield key, file.get_slice(key).get_shape()


def _processor(spec: ModelSpec, files: _Files) -> Any:
    """The adapter's own, where one was saved with it."""
    own = files.folder if (files.folder / "preprocessor_config.json").is_file() else files.base
    return _read(spec, lambda: AutoImageProcessor.from_pretrained(own, trust_remote_code=False))


def _read(spec: ModelSpec, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except ModelError:
        raise
    except Exception as error:
        # transformers' messages go on for lines with advice; the first sentence says what is wrong.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise ModelError(f"{spec.name} cannot be loaded to {spec.task}: {shorten(lines[0], 300)}") from error


def _labels(spec: ModelSpec, config: Any) -> list[str]:
    if not spec.labels:
        # Detectors number their classes with gaps.
        return [str(config.id2label.get(index, f"LABEL_{index}")) for index in range(_highest(config))]
    names = read_labels(spec.labels)
    check_labels(names, config.num_labels, spec.name, spec.labels)
    return names


def _highest(config: Any) -> int:
    return int(max([*config.id2label, config.num_labels - 1])) + 1


def _scores(config: Any) -> Scores:
    """As `pipeline("image-classification")` chooses."""
    if config.problem_type == "regression":
        return "none"
    independent = config.problem_type == "multi_label_classification" or config.num_labels == 1
    return "sigmoid" if independent else "softmax"
