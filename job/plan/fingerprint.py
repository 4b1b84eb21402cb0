"""What determines a run's result, and the hash of it that the run id and `plan.json` have.

A relative path counts as the absolute one that it means here: the same spec in two folders is two runs.
"""

import hashlib
import json
import os
import re
from typing import Any, TypeVar, get_args

from job.spec.section import SpecModel
from job.spec.spec import JobSpec
from job.spec.torchvision_names import WEIGHTS_SUFFIXES
from job.spec.values import check_uri

S = TypeVar("S", bound=SpecModel)

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
LIMITS = ("max_pixels", "max_bytes")  # they decide rows; 0.1 did not count them


def determinants(spec: JobSpec) -> dict[str, Any]:
    """What determines the result: the same of these is the same run."""
    here = with_absolute_paths(spec)
    limits = here.errors.determinants()
    return {**_as_written(here), **{f"errors.{name}": limits[name] for name in LIMITS if name in limits}}


def fingerprint(spec: JobSpec) -> str:
    """sha256 in hex over the determinants."""
    return _digest(determinants(spec))


def earlier_fingerprint(spec: JobSpec) -> str:
    """As 0.1 had it: relative paths as they are written, whatever the limits on images."""
    return _digest(_as_written(spec))


def with_absolute_paths(spec: JobSpec) -> JobSpec:
    """The spec with no path below source and model that the working directory decides on.

    A folder of transformers' and a python model's module stay: they lie elsewhere in a pod than where it is submitted,
    and the plan has digests of what is in them.
    """
    model = _with_absolute_uris(spec.model)
    if model.kind == "torchvision" and model.weights.endswith(WEIGHTS_SUFFIXES):
        model = model.model_copy(update={"weights": absolute_path(model.weights)})
    return spec.model_copy(update={"source": _with_absolute_uris(spec.source), "model": model})


def absolute_path(uri: str) -> str:
    """A relative path as the absolute one that it means here; anything else as it is."""
    return uri if _URI.match(uri) or uri.startswith("/") else os.path.abspath(os.path.expanduser(uri))


def _with_absolute_uris(section: S) -> S:
    fields = type(section).model_fields.items()
    uris = {name: getattr(section, name) for name, field in fields if _is_uri((*field.metadata, field.annotation))}
    return section.model_copy(
        update={name: absolute_path(uri) for name, uri in uris.items() if uri and uri != absolute_path(uri)}
    )


def _is_uri(parts: tuple[Any, ...]) -> bool:
    """Whether a field's type is `job.spec.values.Uri`, or may be."""
    return any(getattr(part, "func", None) is check_uri or _is_uri(get_args(part)) for part in parts)


def _as_written(spec: JobSpec) -> dict[str, Any]:
    return {
        "source": spec.source.determinants(),
        "model": spec.model.determinants(),
        "output.rows_per_file": spec.output.rows_per_file,
    }


def _digest(found: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
