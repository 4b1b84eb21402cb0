"""PEFT adapters: what was trained beside a base model, merged into it, so that one plain network is run."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors

from job.errors import ModelError
from job.models.identity import base_of_adapter, has_base, is_adapter
from job.models.transformers_types import check_installed

_TENSORS = "adapter_model.safetensors"


def base_of(folder: Path, name: str) -> str | None:
    """The base model's id or folder; None where `folder` holds no adapter. Raises ModelError where peft is missing."""
    if not is_adapter(folder):
        return None
    check_installed("peft", f"{name} is a PEFT adapter")
    if has_base(folder):
        return str(folder)
    base = base_of_adapter(folder)
    if not base:
        raise ModelError(
            f"{name}: its adapter_config.json names no base model; merge it with merge_and_unload() and save that"
        )
    return base


def trained_lengths(folder: Path, name: str) -> dict[str, int]:
    """The first dimension of every tensor that replaces one of the base model's, by the base model's name of it."""
    if not (folder / _TENSORS).is_file():
        raise ModelError(f"{name} is a PEFT adapter without {_TENSORS}; save it with save_pretrained")
    with safetensors.safe_open(folder / _TENSORS, framework="pt") as file:
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 - it is no mapping
    return {
        key.removeprefix("base_model.model.").replace(".modules_to_save", ""): shape[0]
        for key, shape in shapes.items()
        if shape
    }


@contextmanager
def without_adapter(folder: Path) -> Iterator[Path]:
    """The base model that lies beside its adapter, alone: transformers would load both, and merge neither."""
    with tempfile.TemporaryDirectory() as alone:
        for path in folder.iterdir():
            if path.is_file() and not path.name.startswith("adapter_"):
                (Path(alone) / path.name).symlink_to(path.resolve())
        yield Path(alone)


def merged(network: Any, folder: Path, name: str) -> Any:
    """The base model with the adapter merged into it. Raises ModelError where they do not belong together."""
    from peft import PeftConfig, PeftModel

    adapted = PeftModel(network, PeftConfig.from_pretrained(str(folder)))
    found = adapted.load_adapter(str(folder), "default", torch_device="cpu")
    wrong = [*found.missing_keys, *found.unexpected_keys]
    if wrong:
        raise ModelError(f"{name}: the adapter does not fit its base model: {', '.join(wrong[:3])}")
    return adapted.merge_and_unload()
