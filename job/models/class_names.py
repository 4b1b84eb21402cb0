"""Class names: read from `model.labels`, or those that came with the weights."""

from collections.abc import Mapping, Sequence

from job.errors import ModelError
from job.spec.class_list import ClassList, parse_class_list
from job.spec.spec import ModelSpec
from job.stores.storage import read_uri


def read_labels(uri: str) -> list[str]:
    """Class names by index. Raises ModelError where there are none, StoreError where the store refuses."""
    return list(_read(uri).names)


def names_by_id(spec: ModelSpec) -> Mapping[str, str]:
    """What `model.labels` says that each id (WordNet's n01440764) is called; nothing where it has no ids."""
    # A model of the user's own may read its labels in a way of its own.
    return _read(spec.labels).by_id if spec.labels and spec.kind != "python" else {}


def check_labels(names: Sequence[str], classes: int, model: str, uri: str | None) -> None:
    """Raises ModelError unless there is a name for every class."""
    if len(names) != classes:
        source = f"model.labels ({uri})" if uri else "the weights' metadata"
        raise ModelError(f"{model} has {classes} classes and {source} names {len(names)}; they must agree")


def _read(uri: str) -> ClassList:
    try:
        return parse_class_list(read_uri(uri), uri.endswith(".json"))
    except FileNotFoundError:
        raise ModelError(f"model.labels: there is nothing at {uri}") from None
    except ValueError as error:
        raise ModelError(f"model.labels: {uri} {error}") from error
