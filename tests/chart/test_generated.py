"""The chart's generated files: fresh, and every value has its words in the README and its place in the schema."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from chart.helm import CHART, Object

from job.errors import UsageError
from scripts.generate import GENERATED
from scripts.generate_chart import chart_readme, documented_values
from scripts.generated_table import markers

BEGIN, END = markers("values")

VALUES_YAML = (CHART / "values.yaml").read_text(encoding="utf-8")
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["values.schema.json", "README.md"])
def test_the_committed_file_is_fresh(name: str) -> None:
    current = (CHART / name).read_text(encoding="utf-8")
    assert GENERATED[f"charts/tench/{name}"](current) == current


def test_every_value_has_a_row_of_its_own() -> None:
    rows = [path for path, _, what in documented_values(VALUES_YAML) if what]
    assert rows == [path for path, value in _leaves(yaml.safe_load(VALUES_YAML))]


def test_a_value_without_words_is_named() -> None:
    with pytest.raises(UsageError, match=r"queue\.name has no comment; put `# -- …` above it"):
        chart_readme(f"{BEGIN}\n{END}\n", 'queue:\n  name: ""\n')


def test_a_readme_without_its_markers_is_told_where_to_put_them() -> None:
    with pytest.raises(UsageError, match="add the lines"):
        chart_readme(f"{END}\n{BEGIN}\n", VALUES_YAML)


def test_every_value_has_a_schema_and_every_schema_a_value() -> None:
    # What is of `workers` is of `decoders`, too; `global` is Helm's own.
    beside = {"global", *(f"decoders.{key}" for key in SCHEMA["properties"]["decoders"]["properties"])}
    assert set(_described(SCHEMA)) - beside == {path for path, _ in _leaves(yaml.safe_load(VALUES_YAML))} - beside
    assert SCHEMA["properties"]["decoders"]["properties"].keys() <= SCHEMA["properties"]["workers"]["properties"].keys()


def test_the_values_are_few_enough_to_be_read() -> None:
    assert len(VALUES_YAML.splitlines()) <= 170


def _leaves(values: Object, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if value and isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _described(schema: Object, path: str = "") -> Iterator[str]:
    """The values that a schema of `values.yaml`'s own nesting allows."""
    for key, value in schema["properties"].items():
        if not path and value.get("additionalProperties") is False:
            yield from _described(value, f"{key}.")
        else:
            yield f"{path}{key}"
