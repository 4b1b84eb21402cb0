"""The files and modules that a spec's model names, looked for before anything is loaded.

Without torch, so that a plan can ask, too: what is missing here would stop a run. Reads nothing but `model.labels`.
"""

import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from job.errors import ModelError, StoreError
from job.models.class_names import read_labels
from job.spec.spec import ModelSpec
from job.spec.spec_file import folders_of_specs
from job.spec.torchvision_names import WEIGHTS_SUFFIXES
from job.stores.storage import is_bucket, open_folder, split_uri

# What huggingface_hub takes for a name: https://github.com/huggingface/huggingface_hub, utils/_validators.py.
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def check_model_files(spec: ModelSpec) -> None:
    """Raises ModelError for the first thing that is missing."""
    for problem in missing_model_files(spec):
        raise problem


def missing_model_files(spec: ModelSpec, in_buckets: bool = False) -> Iterator[ModelError]:
    """An error for each thing that is missing, or cannot be looked at; with `in_buckets` of those in buckets alone."""
    for key, uri, look in (
        ("name", spec.name, _LOOKS.get(spec.kind)),
        ("weights", spec.weights, _look_for_weights if spec.weights.endswith(WEIGHTS_SUFFIXES) else None),
        ("labels", spec.labels, _look_at_labels),
    ):
        if look is None or uri is None or (in_buckets and not is_bucket(uri)):
            continue
        try:
            look(uri)
        except StoreError as error:
            yield ModelError(f"model.{key}: {error}")
        except ModelError as error:
            yield error


def search_module_folders(more: Iterable[str] = ()) -> tuple[str, ...]:
    """Lets Python find modules in the working folder, beside the spec and in `more`: last, where they shadow nothing.

    The folders, in their order.
    """
    folders = tuple(dict.fromkeys((os.getcwd(), *folders_of_specs(), *more)))
    sys.path.extend(folder for folder in folders if folder not in sys.path)
    return folders


def searched(folders: Iterable[str]) -> str:
    """For a message."""
    return f"searched {', '.join(folders)} and the installed packages"


def _look_for_weights(uri: str) -> None:
    if not is_bucket(uri):
        path = _absolute(uri)
        if not path.is_file():
            raise ModelError(f"model.weights: there is no file {path}")
        return
    root, key = split_uri(uri)
    if open_folder(root).head(key) is None:
        raise ModelError(f"model.weights: there is nothing at {uri}")


def _look_at_labels(uri: str) -> None:
    read_labels(uri)


def _look_for_transformers(name: str) -> None:
    if is_bucket(name):
        if open_folder(name).head("config.json") is None:
            raise ModelError(f"model.name: there is no config.json at {name}")
        return
    path = _absolute(name)
    if path.is_dir() and not any((path / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise ModelError(f"model.name: the folder {path} has no config.json, as a model's has")
    if path.is_file():
        raise ModelError(f"model.name: {path} is a file; name the folder it is in")
    check_is_there(name)


def check_is_there(name: str) -> None:
    """Raises ModelError for a folder that is not there, by a name that the hub cannot have: nobody is asked for it."""
    is_of_the_hub = _HUB_ID.fullmatch(name) and not name.startswith(".")
    if not is_of_the_hub and not _absolute(name).is_dir():
        raise ModelError(f"model.name: there is no folder {_absolute(name)}")


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _look_for_module(name: str) -> None:
    """Without importing it: found are also the modules of packages whose own import would take seconds."""
    folders = search_module_folders()
    module = name.partition(":")[0]
    top, *rest = module.split(".")
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # of a module that is there and has no spec, such as __main__
        return
    for part in rest:
        inside = found.submodule_search_locations if found else None
        found = PathFinder.find_spec(f"{found.name}.{part}", inside) if found and inside else None
    if found is None and module not in sys.modules:
        raise ModelError(f"model.name: there is no module {module}; {searched(folders)}")


_LOOKS = {"transformers": _look_for_transformers, "python": _look_for_module}
