"""Class names: read from `model.labels`, or those that came with the weights."""

import json
from collections.abc import Sequence

from job.errors import ModelError
from job.stores.storage import read_uri


def read_labels(uri: str) -> list[str]:
    """A JSON list of class names. Raises ModelError where there is none, StoreError where the store refuses."""
    try:
        names = json.loads(read_uri(uri))
    except FileNotFoundError:
        raise ModelError(f"model.labels: there is nothing at {uri}") from None
    except ValueError as error:
        raise ModelError(f"model.labels: {uri} is not JSON ({error})") from error
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ModelError(f'model.labels: {uri} must hold a JSON list of names, such as ["cat", "dog"]')
    return names


def check_labels(names: Sequence[str], classes: int, model: str, uri: str | None) -> None:
    """Raises ModelError unless there is a name for every class."""
    if len(names) != classes:
        source = f"model.labels ({uri})" if uri else "the weights' metadata"
        raise ModelError(f"{model} has {classes} classes and {source} names {len(names)}; they must agree")
