"""Reads a spec's file, YAML or JSON, into a `JobSpec`, or says everything that is wrong with it.

The launcher and the job call `load_spec`. YAML is read as version 1.2 has it, so that a file means the same as the JSON
it looks like: `1e-3` is a number, `on`, `no` and `2024-01-01` are text, and a key that is given twice is a mistake.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from job.errors import SpecError, UsageError
from job.spec.problems import problems, show
from job.spec.spec import JobSpec
from job.terminal.spelling import did_you_mean

MAX_BYTES = 1 << 20  # what a Kubernetes ConfigMap holds
_folders: dict[str, None] = {}


def load_spec(path: str) -> JobSpec:
    """The spec in a file, on standard input where the path is `-`, in a variable where it is `env:NAME`.

    Raises SpecError with every problem found, UsageError where there is no file to read.
    """
    if path == "-":
        return parse_spec(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input")
    if path.startswith("env:"):
        variable = path.removeprefix("env:")
        if variable not in os.environ:
            raise UsageError(f"the environment has no variable {variable!r} with a spec")
        return parse_spec(os.environ[variable].encode(), f"the variable {variable}")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist{_neighbour(Path(path))}") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; name the spec in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UsageError(f"{path!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    spec = parse_spec(data, path)
    _folders.setdefault(os.path.dirname(os.path.abspath(path)))
    return spec


def folders_of_specs() -> tuple[str, ...]:
    """Where the files lie that this process has read specs from: modules of python models are looked for there."""
    return tuple(_folders)


def parse_spec(data: bytes, name: str) -> JobSpec:
    """The spec in the bytes of a file, which a SpecError calls `name`."""
    if len(data) > MAX_BYTES:
        raise SpecError(name, [f"has more than {MAX_BYTES:,} bytes; a spec is a short text"])
    tree = _tree(data, name)
    if tree is None:
        raise SpecError(name, ["is empty; a spec has at least name, source, model and output"])
    if not isinstance(tree, dict):
        raise SpecError(name, [f"must be a mapping that begins with name, source, model and output (got {show(tree)})"])
    return spec_of(tree, name)


def spec_of(tree: Mapping[Any, Any], name: str = "the spec") -> JobSpec:
    """The spec in nested mappings, which a SpecError calls `name`."""
    if halves := [f"{path}: has half of a surrogate pair (got {text!a})" for path, text in _halves(tree)]:
        raise SpecError(name, halves)
    found = [f"{path}: is given twice{where}" for path, where in _repeated(tree)]
    try:
        spec = JobSpec.model_validate(tree)
    except ValidationError:
        found += problems(tree)
    if found:
        raise SpecError(name, found)
    return spec


class YamlLoader(yaml.SafeLoader):
    """YAML 1.2's meaning of plain words, where PyYAML has 1.1's; mappings remember the keys that are given twice."""

    def construct_mapping_of_lines(self, node: yaml.MappingNode) -> Iterator["_Mapping"]:
        mapping = _Mapping()
        yield mapping  # before its values, which may refer to it
        mapping.update(self.construct_mapping(node))
        keys = [key.value for key, _ in node.value]
        mapping.repeated = {
            key.value: f", again on line {key.start_mark.line + 1}"
            for place, (key, _) in enumerate(node.value)
            if key.value in keys[:place]
        }

    def construct_decimal(self, node: yaml.ScalarNode) -> int:
        return int(node.value)  # PyYAML's own reads 010 as 8 and 1:30 as 90


YamlLoader.yaml_implicit_resolvers = {}  # none of PyYAML's
_TAG = "tag:yaml.org,2002:"
for _name, _words, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
):
    YamlLoader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_words})$"), _first)
YamlLoader.add_constructor(f"{_TAG}map", YamlLoader.construct_mapping_of_lines)
YamlLoader.add_constructor(f"{_TAG}int", YamlLoader.construct_decimal)


class _Mapping(dict[Any, Any]):
    """A mapping that knows which of its keys its text gives twice, and where."""

    repeated: dict[str, str]


def _tree(data: bytes, name: str) -> Any:
    """The file's nested mappings, lists and values."""
    try:
        text = data.decode("utf-8-sig")
        tree = _json_tree(text, name.endswith(".json"))
        return YamlLoader(text).get_single_data() if tree is None else tree
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = where + ", ".join(filter(None, [error.context, error.problem]))
    except yaml.YAMLError as error:
        problem = str(error).splitlines()[0]
    except ValueError:
        problem = "has a number with too many digits"
    except RecursionError:
        problem = "is nested too deep"
    raise SpecError(name, [problem])


def _json_tree(text: str, is_json: bool) -> Any:
    """None for what may be YAML. JSON is tried first: PyYAML reads neither its tabs nor its surrogate pairs."""
    if not is_json and not text.lstrip().startswith("{"):
        return None
    try:
        return json.loads(text, object_pairs_hook=_mapping_of_pairs)
    except json.JSONDecodeError:
        if is_json:
            raise
        return None


def _mapping_of_pairs(pairs: list[tuple[str, Any]]) -> _Mapping:
    mapping = _Mapping(pairs)
    keys = [key for key, _ in pairs]
    mapping.repeated = {key: "" for key in mapping if keys.count(key) > 1}
    return mapping


def _repeated(tree: Any, path: str = "", parents: frozenset[int] = frozenset()) -> Iterator[tuple[str, str]]:
    """Path and place of every key that is given twice."""
    if id(tree) in parents:  # YAML can put a mapping into itself
        return
    parents |= {id(tree)}
    if isinstance(tree, _Mapping):
        yield from ((f"{path}{key}", where) for key, where in tree.repeated.items())
        for key, value in tree.items():
            yield from _repeated(value, f"{path}{key}.", parents)
    if isinstance(tree, list):
        for value in tree:
            yield from _repeated(value, path, parents)


def _halves(tree: Any, path: str = "", parents: frozenset[int] = frozenset()) -> Iterator[tuple[str, str]]:
    """Path and text of what no file could hold: JSON can spell it, as `"\\ud800"`, and so can Python."""
    if isinstance(tree, str):
        yield from [] if _is_writable(tree) else [(path, tree)]
    if id(tree) in parents:
        return
    parents |= {id(tree)}
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if _is_writable(key):
                yield from _halves(value, f"{path}.{key}" if path else f"{key}", parents)
            else:
                yield (path or "a key"), str(key)
    if isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            yield from _halves(value, f"{path}[{index}]", parents)


def _is_writable(text: Any) -> bool:
    try:
        str(text).encode()
    except UnicodeEncodeError:
        return False
    return True


def _neighbour(path: Path) -> str:
    """The spec beside a missing one that was meant, as it would have to be written."""
    specs = [str(near) for near in path.parent.glob("*") if near.suffix in (".yaml", ".yml", ".json")]
    return did_you_mean(str(path), specs)
