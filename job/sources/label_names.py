"""Class names for expected labels: the file that `label_names` points to. Used by `job.sources.source`."""

import json
from collections.abc import Mapping

import pyarrow as pa

from job.errors import SourceError
from job.stores.storage import read_uri


def load_names(uri: str) -> Mapping[str, str]:
    """Label to class name, from a JSON object, or from a list, whose labels are its indices. Raises SourceError."""
    try:
        names = json.loads(read_uri(uri))
    except FileNotFoundError:
        raise SourceError(f"source.label_names: there is no {uri}") from None
    except ValueError as error:
        raise SourceError(f"source.label_names: {uri} is not JSON: {error}") from error
    if isinstance(names, list):
        return by_index(names)
    if isinstance(names, dict):
        return {label: str(name) for label, name in names.items()}
    kind = type(names).__name__
    raise SourceError(f"source.label_names: {uri} must hold a JSON object or list of class names, not a {kind}")


def by_index(names: list[object]) -> Mapping[str, str]:
    """A list of class names, by the labels "0", "1" and so on."""
    return {str(index): str(name) for index, name in enumerate(names)}


def rename(labels: pa.Array, names: Mapping[str, str]) -> pa.Array:
    """Labels with their class names; one without a name stays as it is, and a null stays null."""
    encoded = labels.dictionary_encode()
    values = [names.get(label, label) for label in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(encoded.indices)
