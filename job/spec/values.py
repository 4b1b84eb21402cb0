"""The values that a spec is made of, each with its own check: names, URIs, counts, shares, GPUs.

`spec` gives them to its fields. A check raises ValueError with the way out; it knows no field and no other value.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from job.stores.uris import canonical

_NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"  # DNS-1035
_NAME_CHARACTERS = 30
_SMALLEST_SHARE = 0.0001


def check_uri(uri: str) -> str:
    """A store's URI, in its one form, or a local path; others are refused: no spec makes a worker call anywhere."""
    if not uri.strip():
        raise ValueError("must not be empty")
    if "\0" in uri:
        raise ValueError("has a NUL character, which neither a path nor a URI can have")
    return canonical(uri)


def check_name(name: str) -> str:
    if len(name) > _NAME_CHARACTERS or not re.fullmatch(_NAME_PATTERN, name):
        raise ValueError(
            "must be lower-case letters, digits and -, begin with a letter, not end with -, "
            f"and have at most {_NAME_CHARACTERS} characters"
        )
    return name


def check_gpus(gpus: float) -> float:
    if gpus > 1 and not gpus.is_integer():  # Ray's rule: one GPU can be shared, more are whole
        raise ValueError("must be at most 1 or a whole number; only one GPU can be shared")
    if 0 < gpus < _SMALLEST_SHARE:
        raise ValueError(f"must be 0 or at least {_SMALLEST_SHARE}; Ray counts no smaller share")
    return gpus


def check_version(version: Any) -> Any:
    if type(version) is not int:  # true and 1.0 equal 1
        raise ValueError("must be a whole number")
    return version


def check_edges(value: Any) -> Any:
    """Pixels of the shorter edge, or of height and width."""
    edges = value if isinstance(value, list | tuple) and len(value) == 2 else [value]
    if any(type(edge) is not int or edge < 1 for edge in edges):  # true is a 1 to Python
        raise ValueError("must be a number of pixels, or [height, width]")
    return value


def check_channels(value: Any) -> Any:
    is_three = isinstance(value, list | tuple) and len(value) == 3
    if not is_three or any(type(each) not in (int, float) for each in value):
        raise ValueError("must be three numbers, of red, green and blue, where a pixel is 0 to 1")
    return value


def check_deviations(value: Any) -> Any:
    if min(check_channels(value)) <= 0:
        raise ValueError("must be three numbers greater than 0")
    return value


Uri = Annotated[str, AfterValidator(check_uri)]
Name = Annotated[
    str,
    AfterValidator(check_name),
    Field(json_schema_extra={"pattern": _NAME_PATTERN, "maxLength": _NAME_CHARACTERS}),
]
Count = Annotated[int, Field(strict=True, ge=1)]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]
Gpus = Annotated[float, Field(strict=True, ge=0), AfterValidator(check_gpus)]
_Pixels = Annotated[int, Field(ge=1)]
Edges = Annotated[_Pixels | tuple[_Pixels, _Pixels], BeforeValidator(check_edges)]
Channels = Annotated[tuple[float, float, float], BeforeValidator(check_channels)]
_Deviation = Annotated[float, Field(gt=0)]
Deviations = Annotated[tuple[_Deviation, _Deviation, _Deviation], BeforeValidator(check_deviations)]
