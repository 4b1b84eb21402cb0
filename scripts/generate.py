"""Writes the files that are made from other files: `python -m scripts.generate`, or `--check` to compare only.

    job/spec/torchvision.json   the models and weights of the installed torchvision, which a spec is checked against
    job/spec.schema.json        the JSON Schema of `job.spec.spec`, for editors, the launcher and the chart
    docs/models.md              the types of transformers' that are refused, with their reasons
    README.md                   the tables of the spec and of the environment variables, between their markers

The only place that asks torchvision for its registry; nothing imports this module but its tests.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from job.errors import TenchError
from job.models.transformers_types import refused_types
from job.settings import OTHERS, VARIABLES
from job.spec.spec import SOURCES, JobSpec, ModelSpec, RecipeSpec, SpecModel
from scripts.generate_chart import CHART, chart_readme, values_schema_json
from scripts.generated_table import fill, to_table

ROOT = Path(__file__).resolve().parent.parent
COMMAND = "python -m scripts.generate"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write the generated files of the repository.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is stale")
    check = parser.parse_args(arguments).check
    problems = {name: _refresh(root / name, generate, check) for name, generate in GENERATED.items()}
    for name, problem in problems.items():
        if problem:
            print(f"{name} {problem}", file=sys.stderr)
    return 1 if any(problems.values()) else 0


def torchvision_json(_: str) -> str:
    """task → model → its weights, of the torchvision that is installed here."""
    from torchvision import models

    registry = {
        task: {name: _usable_weights(name) for name in models.list_models(module=module)}
        for task, module in {"classify": models, "detect": models.detection}.items()
    }
    return json.dumps(registry, indent=1) + "\n"


def spec_schema_json(_: str) -> str:
    """The JSON Schema of a spec, draft 2020-12."""
    schema = JobSpec.model_json_schema(schema_generator=_UntitledFields)
    schema["properties"]["source"]["discriminator"] = {
        "propertyName": "kind",
        "mapping": {kind: f"#/$defs/{source.__name__}" for kind, source in SOURCES.items()},
    }
    head = {"$schema": GenerateJsonSchema.schema_dialect, "title": "Tench job spec"}
    return json.dumps(head | {key: value for key, value in schema.items() if key != "title"}, indent=2) + "\n"


def readme(text: str) -> str:
    """The README with fresh tables between its markers."""
    return fill(fill(text, "spec", spec_table()), "environment", environment_table())


def models_page(text: str) -> str:
    """docs/models.md with a fresh table of refused types."""
    return fill(text, "types", types_table())


def types_table() -> str:
    """One row a type that is refused, and what it would do."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES

    rows = [
        _row(kind, "detect" if kind in MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES else "classify", why)
        for kind, why in sorted(refused_types().items())
    ]
    return to_table(["type", "task", "why"], rows)


def spec_table() -> str:
    """One row a field, in the order of the contract."""
    rows = []
    for name, field in JobSpec.model_fields.items():
        if name == "source":
            rows += [_row(f"source.{key}", *_across_kinds(key)) for key in _source_keys()]
        elif isinstance(field.annotation, type) and issubclass(field.annotation, SpecModel):
            rows += [
                _row(path, _default(inner), inner.description or "") for path, inner in _leaves(name, field.annotation)
            ]
        else:
            rows.append(_row(name, _default(field), field.description or ""))
    return to_table(["field", "default", "what"], rows)


def _leaves(name: str, section: type[SpecModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys of a section, and after `recipe` those of the mapping that it may be."""
    for key, field in section.model_fields.items():
        yield f"{name}.{key}", field
        if section is ModelSpec and key == "recipe":
            yield from _leaves(f"{name}.{key}", RecipeSpec)


def environment_table() -> str:
    """One row a variable: Tench's own, then those of the libraries it uses."""
    own = [_row(each.name, "" if each.default is None else f"`{each.default:g}`", each.what) for each in VARIABLES]
    others = [(", ".join(f"`{name}`" for name in names.split(", ")), "", what) for names, what in OTHERS.items()]
    return to_table(["variable", "default", "what"], [*own, *others])


GENERATED: dict[str, Callable[[str], str]] = {
    "job/spec/torchvision.json": torchvision_json,
    "job/spec.schema.json": spec_schema_json,
    "README.md": readme,
    "docs/models.md": models_page,
    f"{CHART}/values.schema.json": lambda text: values_schema_json(text, json.loads(spec_schema_json(""))),
    f"{CHART}/README.md": lambda text: chart_readme(text, (ROOT / CHART / "values.yaml").read_text(encoding="utf-8")),
}


class _UntitledFields(GenerateJsonSchema):
    """Titles that only repeat the key are left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _refresh(path: Path, generate: Callable[[str], str], check: bool) -> str | None:
    """Writes one file, or compares it; what is wrong with it in a sentence."""
    current = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        fresh = generate(current)
    except TenchError as error:
        return str(error)
    if fresh == current:
        return None
    if check:
        return f"is stale; run: {COMMAND}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(fresh, encoding="utf-8")
    return None


def _usable_weights(name: str) -> list[str]:
    """Names of the weights that know their classes; those of a bare backbone (VGG16's) predict nothing."""
    from torchvision.models import get_model_weights

    return [member.name for member in get_model_weights(name) if member.meta.get("categories")]


def _source_keys() -> list[str]:
    """The keys of all kinds of source in one order that agrees with each kind's own."""
    keys: list[str] = []
    for source in SOURCES.values():
        place = 0
        for key in source.model_fields:
            if key in keys:
                place = keys.index(key) + 1
            else:
                keys.insert(place, key)
                place += 1
    return keys


def _across_kinds(key: str) -> tuple[str, str]:
    """The default of a source's field, and what it is: kind by kind where only some have it or they differ."""
    fields = {kind: source.model_fields[key] for kind, source in SOURCES.items() if key in source.model_fields}
    first = next(iter(fields.values()))
    descriptions = {kind: field.description or "" for kind, field in fields.items()}
    if len(fields) == len(SOURCES) and len(set(descriptions.values())) == 1:
        return _default(first), descriptions["files"]
    return _default(first), "; ".join(f"*{kind}:* {text}" for kind, text in descriptions.items())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    default = field.get_default()
    if isinstance(default, tuple):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _row(name: str, default: str, what: str) -> tuple[str, str, str]:
    return f"`{name}`", default, what


if __name__ == "__main__":
    sys.exit(main())
