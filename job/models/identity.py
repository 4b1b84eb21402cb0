"""What a model is, by its files: digests of what the spec names, worked out without loading any of it.

The driver freezes them in the plan, every replica compares after it has loaded, and a later attempt before it starts.
A file of this machine counts by its sha256, an object of a bucket by its etag and size, a Python module by its source
or by the version of the package that brought it.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from job.errors import ModelError
from job.models.model_files import search_module_folders
from job.spec.spec import ModelSpec
from job.spec.torchvision_names import WEIGHTS_SUFFIXES
from job.stores.storage import Entry, is_bucket, open_folder, split_uri

CONFIGURATION = ("*.json",)
WEIGHTS = ("model.safetensors", "model-*.safetensors", "adapter_model.safetensors")
_ADAPTER = "adapter_config.json"
_SITES = {"site-packages", "dist-packages"}

Identities = dict[str, str]
"""By what a person calls it: `model.labels`, `model.weights`, `my_models.py`."""


def identify(spec: ModelSpec) -> Identities:
    """Of every file that the spec names, and of none that the hub or torchvision gives. Raises ModelError, StoreError.

    Files that are not there are left out: whoever loads them says so better.
    """
    found: Identities = {}
    if spec.labels:
        found |= _of_file("model.labels", spec.labels)
    if spec.kind == "torchvision" and spec.weights.endswith(WEIGHTS_SUFFIXES):
        found |= _of_file("model.weights", spec.weights)
    if spec.kind == "transformers" and not is_on_hub(spec):
        found |= _of_folder(spec.name, file_patterns(spec))
    if spec.kind == "python":
        found |= _of_module(spec.name.partition(":")[0])
    return found


def is_on_hub(spec: ModelSpec) -> bool:
    """Whether the name is a Hugging Face id, and no folder."""
    return spec.kind == "transformers" and is_hub_id(spec.name)


def is_hub_id(name: str) -> bool:
    return not is_bucket(name) and not Path(name).expanduser().is_dir()


def base_of_adapter(folder: Path) -> str | None:
    """The base model that a PEFT adapter's folder names; None where it holds no adapter, or its base too."""
    if not is_adapter(folder) or has_base(folder):
        return None
    try:
        return json.loads((folder / _ADAPTER).read_bytes()).get("base_model_name_or_path") or None
    except (ValueError, AttributeError):
        return None  # who loads it says that there is none


def is_adapter(folder: Path) -> bool:
    return (folder / _ADAPTER).is_file()


def has_base(folder: Path) -> bool:
    """Whether an adapter's base model lies beside it."""
    return (folder / "config.json").is_file() and any(folder.glob("model*.safetensors"))


def file_patterns(spec: ModelSpec) -> tuple[str, ...]:
    """Names of the files of a model's folder that are read."""
    return CONFIGURATION if spec.weights == "none" else (*CONFIGURATION, *WEIGHTS)


def is_read(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _of_file(name: str, uri: str) -> Identities:
    if not is_bucket(uri):
        path = Path(uri).expanduser()
        return {name: digest_of(path)} if path.is_file() else {}
    root, key = split_uri(uri)
    entry = open_folder(root).head(key)
    return {name: _of_object(entry)} if entry else {}


def _of_folder(uri: str, patterns: Iterable[str]) -> Identities:
    if not is_bucket(uri):
        folder = Path(uri).expanduser()
        paths = (path for path in sorted(folder.iterdir()) if is_read(path.name, patterns) and path.is_file())
        found = {path.name: digest_of(path) for path in paths}
        if (base := base_of_adapter(folder)) and not is_hub_id(base):
            found |= {f"{base}/{name}": value for name, value in _of_folder(base, patterns).items()}
        return found
    return {entry.key: _of_object(entry) for entry in list_top(uri) if is_read(entry.key, patterns)}


def list_top(uri: str) -> Iterator[Entry]:
    """The objects of a bucket's folder that are not in another below it."""
    for table in open_folder(uri).list():
        yield from (Entry(**row) for row in table.to_pylist() if "/" not in row["key"])


def _of_object(entry: Entry) -> str:
    etag = entry.etag.strip('"')
    return f"etag:{etag} ({entry.size:,} bytes)"


def _of_module(name: str) -> Identities:
    """Its package's version where it was installed, else the source of the module, or of the package it is in."""
    package = name.partition(".")[0]
    search_module_folders()
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError) as error:
        raise ModelError(f"{name}: cannot be found: {error}") from error
    if spec is None or not spec.origin or spec.origin in ("built-in", "frozen"):
        return {}
    origin = Path(spec.origin)
    # What is installed to be edited lies elsewhere, and changes under one version.
    if _SITES.intersection(origin.parts):
        # Reads the metadata of every package: half a second.
        distributions = importlib.metadata.packages_distributions().get(package, [])
        if distributions:
            return {distributions[0]: importlib.metadata.version(distributions[0])}
    if not spec.submodule_search_locations:
        return {origin.name: digest_of(origin)}
    root = origin.parent
    return {str(path.relative_to(root.parent)): digest_of(path) for path in sorted(root.rglob("*.py"))}
