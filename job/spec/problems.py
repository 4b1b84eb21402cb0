"""What is wrong with a spec, in sentences: `path: what (got value)`.

`spec_file` asks here for the lines; nobody else reads pydantic's errors. Every type of error that a field of the
spec can raise has its sentence in this module, so that another pydantic words nothing differently.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from reprlib import Repr
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from job.spec.spec import SOURCES, JobSpec, RecipeSpec
from job.spec.synonyms import meant
from job.terminal.spelling import did_you_mean

_SENTENCES = {
    "missing": "is required",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "model_type": "must be a mapping of keys",
    "invalid_key": "a key must be text",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "value_error": "{error}",
}
_UNKNOWN_KIND = ("union_tag_invalid", "union_tag_not_found")
_SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in JobSpec.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
_RECIPE = ("model", "recipe")  # a mapping of its own, or a name; pydantic's tag follows
_REQUIRED_SECTIONS = ("source", "model", "output")

_CHARACTERS = 60


def problems(data: Mapping[Any, Any]) -> list[str]:
    """Everything that keeps `data` from being a spec, a line each, in the order of the spec's fields."""
    version = data.get("version")
    if type(version) is int and version > 1:
        return [f"version: this Tench reads version 1; use a newer Tench (got {version})"]
    # With the sections there it is `source.uri` that is missing, not `source`.
    padded: dict[Any, Any] = {key: {} for key in _REQUIRED_SECTIONS} | dict(data)
    lines: dict[str, tuple[list[str], str]] = {}  # by path: a union has an error for each of its members
    for error in _errors(JobSpec, padded):
        sentences, _ = lines.setdefault(_path(error), ([], _got(error)))
        sentences.append(_sentence(error))
    return [f"{path}: {_either(sentences)}{got}" for path, (sentences, got) in lines.items()]


def show(value: Any) -> str:
    """A value as its writer knows it, on one line of about 60 characters, without the password of a URI."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = _Short().repr(value)
    return text if len(text) <= _CHARACTERS + 2 else f"{text[:_CHARACTERS]}…"


class _Short(Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 2, _CHARACTERS, _CHARACTERS

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(re.sub(r"(://)(?!anonymous@)[^/@]+@", r"\1***@", x), level)


def _errors(model: type[BaseModel], data: Any) -> Iterator[ErrorDetails]:
    try:
        model.model_validate(data)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            yield error
            if error["type"] in _UNKNOWN_KIND:
                yield from _errors_despite_kind(error["input"])


def _errors_despite_kind(source: Mapping[Any, Any]) -> Iterator[ErrorDetails]:
    """What else is wrong with a source of an unknown kind: as the kind that was meant, or by what all share."""
    meant_kind = meant(str(source["kind"]), SOURCES)
    keys = [key for model in SOURCES.values() for key in model.model_fields]
    differing = {key for key in keys if keys.count(key) < len(SOURCES)} | {"label_from"}
    rest = {key: value for key, value in source.items() if meant_kind or key not in differing}
    kind = meant_kind or "files"
    for error in _errors(SOURCES[kind], rest | {"kind": kind}):
        error["loc"] = ("source", kind, *error["loc"])
        yield error


def _path(error: ErrorDetails) -> str:
    parts = error["loc"]
    if error["type"] in _UNKNOWN_KIND:
        return "source.kind"
    if parts[0] == "source":  # what follows is pydantic's tag, the kind
        parts = (parts[0], *parts[2:])
    if parts[:2] == _RECIPE:
        return ".".join(map(str, _RECIPE + parts[3:4])) + "".join(f"[{part}]" for part in parts[4:])
    return ".".join(map(str, parts[:2])) + "".join(f"[{part}]" for part in parts[2:] if isinstance(part, int))


def _got(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return ""
    return f" (got {show(error['input']['kind'] if error['type'] in _UNKNOWN_KIND else error['input'])})"


def _sentence(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(error["loc"])
        case "union_tag_invalid" | "union_tag_not_found":
            return _one_of(list(SOURCES), error["input"]["kind"])
        case "literal_error":
            return _one_of(re.findall(r"\w+", context["expected"].replace(" or ", " ")), error["input"])
        case "model_type" if error["loc"][:2] == _RECIPE:
            return "must be the name of weights, or a mapping of resize, crop, interpolation, mean and std"
        case kind if kind in _SENTENCES:
            return _SENTENCES[kind].format(**context)
    return error["msg"]


def _one_of(options: Sequence[str], value: Any) -> str:
    if len(options) == 1:
        return f"must be {options[0]}"
    option = meant(str(value), options)
    return f"must be one of {', '.join(options)}{f'; did you mean {option}?' if option else ''}"


def _unknown_key(parts: tuple[int | str, ...]) -> str:
    *sections, key = map(str, parts)
    if sections[:1] == ["source"]:
        return _unknown_source_key(sections[1], key)
    if tuple(sections[:2]) == _RECIPE:
        return f"unknown key{did_you_mean(key, RecipeSpec.model_fields)}"
    fields = _SECTIONS[sections[0]].model_fields if sections else JobSpec.model_fields
    return f"unknown key{_elsewhere(key) or did_you_mean(key, fields)}"


def _unknown_source_key(kind: str, key: str) -> str:
    owners = [other for other, model in SOURCES.items() if key in model.model_fields]
    if owners:
        return f"not a key of a {kind} source ({' and '.join(owners)} sources have it)"
    return f"unknown key{_elsewhere(key) or did_you_mean(key, SOURCES[kind].model_fields)}"


def _elsewhere(key: str) -> str:
    """For a key that exists, but in another place: an indentation or a section was missed."""
    places = [f"{key} at the top level"] if key in JobSpec.model_fields else []
    places += ["source." + key] if any(key in model.model_fields for model in SOURCES.values()) else []
    places += [f"{section}.{key}" for section, model in _SECTIONS.items() if key in model.model_fields]
    return f"; did you mean {' or '.join(places)}?" if places else ""


def _either(sentences: Sequence[str]) -> str:
    first, *others = sentences
    return " or ".join([first, *(other.removeprefix("must be ") for other in others)])
