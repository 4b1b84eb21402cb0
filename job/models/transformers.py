"""transformers' image classification and object detection models, from a hub id, a local folder or a bucket's.

A model of the hub is brought into its cache first and read from there; only safetensors, and no code of its own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import huggingface_hub
import torch
import transformers
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification, AutoModelForObjectDetection

from job.errors import ModelError
from job.models.class_names import check_labels, read_labels
from job.models.classifier import NetworkClassifier
from job.models.device import Placement
from job.models.model_files import check_is_there
from job.models.predictor import Predictor
from job.models.processor import recipe_of
from job.models.transformers_detector import TransformersDetector
from job.models.weights import fetch_folder
from job.recipe import Recipe
from job.spec.spec import ModelSpec
from job.stores.storage import is_bucket

_RANDOM_SEED = 0
_CONFIGURATION = ("*.json",)
_WEIGHTS = (*_CONFIGURATION, "model.safetensors", "model-*.safetensors")

transformers.utils.logging.disable_progress_bar()
transformers.logging.set_verbosity_error()  # its report of missing tensors is our ModelError


def load_recipe(spec: ModelSpec) -> Recipe:
    """Of the image processor that the model's configuration names."""
    return recipe_of(_processor(spec, _folder(spec.name, _CONFIGURATION)), spec.name)


def load_predictor(spec: ModelSpec, device: str) -> Predictor:
    """Raises ModelError where the files are not there or not whole; `weights: none` draws them from a fixed seed."""
    folder = _folder(spec.name, _CONFIGURATION if spec.weights == "none" else _WEIGHTS)
    network = _network(spec, folder)
    labels = _labels(spec, network.config)
    processor = _processor(spec, folder)
    recipe, placement = recipe_of(processor, spec.name), Placement.of(spec, device)
    if spec.task == "detect":
        return TransformersDetector(network, recipe, labels, placement, processor)
    return NetworkClassifier(_Logits(network), recipe, labels, placement, _scores(network.config))


class _Logits(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels_nchw: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(pixel_values=pixels_nchw).logits
        return logits


def _folder(name: str, patterns: Sequence[str]) -> Path:
    if is_bucket(name):
        return fetch_folder(name, patterns)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    check_is_there(name)
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=[*patterns]))
    except Exception as error:
        raise ModelError(
            f"model.name: {name} is no folder here, and the hub does not give it ({type(error).__name__}: {error}); "
            "give a local folder, or HF_HOME with the model in its cache"
        ) from error


def _network(spec: ModelSpec, folder: Path) -> Any:
    auto = AutoModelForObjectDetection if spec.task == "detect" else AutoModelForImageClassification
    if spec.weights == "none":
        config = _read(spec, lambda: AutoConfig.from_pretrained(folder, trust_remote_code=False))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_RANDOM_SEED)
            return _read(spec, lambda: auto.from_config(config, trust_remote_code=False))
    network, found = _read(
        spec,
        lambda: auto.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
        ),
    )
    lacking = sorted(found["missing_keys"]) + sorted(str(key) for key in found["mismatched_keys"])
    if lacking:
        raise ModelError(
            f"{spec.name}: its weights lack {', '.join(lacking[:3])} of {type(network).__name__}; "
            f"it was not trained to {spec.task}"
        )
    return network


def _processor(spec: ModelSpec, folder: Path) -> Any:
    return _read(spec, lambda: AutoImageProcessor.from_pretrained(folder, trust_remote_code=False))


def _read(spec: ModelSpec, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:
        raise ModelError(f"{spec.name} cannot be loaded to {spec.task}: {error}") from error


def _labels(spec: ModelSpec, config: Any) -> list[str]:
    if not spec.labels:
        return [str(config.id2label[index]) for index in range(config.num_labels)]
    names = read_labels(spec.labels)
    check_labels(names, config.num_labels, spec.name, spec.labels)
    return names


def _scores(config: Any) -> Literal["softmax", "sigmoid"]:
    """As `pipeline("image-classification")` chooses."""
    independent = config.problem_type == "multi_label_classification" or config.num_labels == 1
    return "sigmoid" if independent else "softmax"
