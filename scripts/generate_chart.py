"""The chart's generated files: `values.schema.json`, whose `job` is the spec's own schema, and the table of values.

What is not `job` in the schema is written by hand, there; the table's words are the comments of `values.yaml`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from job.errors import UsageError
from job.spec.spec import SOURCES
from scripts.generated_table import fill, to_table

CHART = Path("charts/tench")
_KEY = re.compile(r"(?P<indent> *)(?P<key>[\w-]+):")
_COMMENT = re.compile(r" *# -- (?P<text>.*)")


def values_schema_json(current: str, spec_schema: Mapping[str, Any]) -> str:
    """The file with a fresh schema of `job`: draft-07, the newest that every Helm 3 reads."""
    schema = json.loads(current)
    spec = {key: value for key, value in spec_schema.items() if key not in ("$schema", "$defs", "title")}
    spec["properties"] = spec["properties"] | {"source": _source_by_kind(spec["properties"]["source"])}
    schema["definitions"] = json.loads(
        json.dumps({**spec_schema["$defs"], "JobSpec": spec}).replace("#/$defs/", "#/definitions/")
    )
    return json.dumps(schema, indent=2) + "\n"


def _source_by_kind(source: Mapping[str, Any]) -> dict[str, Any]:
    """One branch by the kind: of a `oneOf`, Helm would report what each of the branches misses."""
    return {
        "description": source["description"],
        "properties": {"kind": {"enum": list(SOURCES)}},
        "allOf": [
            {"if": _is_kind(kind), "then": {"$ref": f"#/$defs/{branch.__name__}"}} for kind, branch in SOURCES.items()
        ],
    }


def _is_kind(kind: str) -> dict[str, Any]:
    """A source that names no kind is one of files."""
    named = {"properties": {"kind": {"const": kind}}}
    return named if kind == "files" else named | {"required": ["kind"]}


def chart_readme(text: str, values_yaml: str) -> str:
    """The chart's README with a fresh table between its markers. Raises UsageError for a key without a comment."""
    rows = [(f"`{path}`", default, what) for path, default, what in documented_values(values_yaml)]
    return fill(text, "values", to_table(["value", "default", "what"], rows))


def documented_values(text: str) -> Iterator[tuple[str, str, str]]:
    """Path, default and words of each value; a key that holds only documented keys needs no words of its own."""
    tree = yaml.safe_load(text)
    path: list[str] = []
    what = ""
    for line in text.splitlines():
        if comment := _COMMENT.fullmatch(line):
            what = comment["text"].replace("|", "\\|")
        elif key := _KEY.match(line):
            path = [*path[: len(key["indent"]) // 2], key["key"]]
            value = _at(tree, path)
            if what:
                yield ".".join(path), f"`{json.dumps(value)}`", what
            elif not isinstance(value, dict) or not value:
                raise UsageError(f"{CHART}/values.yaml: {'.'.join(path)} has no comment; put `# -- …` above it")
            what = ""


def _at(tree: Any, path: list[str]) -> Any:
    for key in path:
        tree = tree[key]
    return tree
