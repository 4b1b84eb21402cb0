"""Class names for expected labels: the file that `label_names` points to. Used by `job.sources.source`."""

import json
import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from job.errors import SourceError
from job.spec.class_list import parse_class_list
from job.stores.storage import read_uri

NO_LABEL = "-1"  # as Hugging Face's datasets write it
_FRACTION = re.compile(r"\.0+$")


def load_names(uri: str) -> Mapping[str, str]:
    """Label to class name: a JSON object, or any list of class names, whose labels are its indices and its ids.

    Raises SourceError.
    """
    data = _read(uri)
    try:
        names = json.loads(data)
    except ValueError:
        names = None
    if isinstance(names, dict) and all(isinstance(name, str) for name in names.values()):
        return dict(names)
    try:
        found = parse_class_list(data, uri.endswith(".json"))
    except ValueError as error:
        raise SourceError(f"source.label_names: {uri} {error}") from error
    return {**by_index(found.names), **found.by_id}


def _read(uri: str) -> bytes:
    try:
        return read_uri(uri)
    except FileNotFoundError:
        raise SourceError(f"source.label_names: there is no {uri}") from None


def by_index(names: Sequence[object]) -> Mapping[str, str]:
    """A list of class names, by the labels "0", "1" and so on."""
    return {str(index): str(name) for index, name in enumerate(names)}


def rename(labels: pa.Array, names: Mapping[str, str]) -> pa.Array:
    """Labels with their class names; one without a name stays as it is, and a null stays null.

    `-1` without a name becomes null, `1.0` has the name of `1`.
    """
    encoded = labels.dictionary_encode()
    values = [_name(label, names) for label in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(encoded.indices)


def _name(label: str, names: Mapping[str, str]) -> str | None:
    if label in names:
        return names[label]
    if label == NO_LABEL:
        return None
    return names.get(_FRACTION.sub("", label), label)
