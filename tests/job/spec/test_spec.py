"""The spec's promises: defaults, descriptions, strictness, and a JSON Schema that agrees with them."""

import copy
import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from job.spec.spec import JobSpec, ModelSpec

REQUIRED: dict[str, Any] = {
    "name": "x",
    "source": {"uri": "images"},
    "model": {"kind": "torchvision", "name": "resnet18"},
    "output": {"uri": "runs"},
}
EVERYTHING: dict[str, Any] = {
    "version": 1,
    "name": "imagenette-resnet152",
    "source": {
        "kind": "files",
        "uri": "s3://anonymous@air-example-data-2/imagenette2/val/",
        "suffixes": [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"],
        "include": ["*.jpg"],
        "exclude": ["thumbs/", "**/*.small.*"],
        "label_from": "directory",
        "label_names": "labels.json",
        "orientation": "apply",
        "depth": "scale",
        "decode": "scaled",
        "limit": 1000,
    },
    "model": {
        "kind": "torchvision",
        "name": "resnet152",
        "revision": None,
        "task": "classify",
        "weights": "pretrained/model_1.pth",
        "weights_key": "model_ema",
        "recipe": {
            "resize": 256,
            "crop": [224, 224],
            "interpolation": "bicubic",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.25, 0.25, 0.25],
        },
        "labels": None,
        "top_k": 5,
        "score_threshold": 0.9,
        "precision": "auto",
        "compile": False,
    },
    "compute": {
        "concurrency": 4,
        "gpus_per_replica": "auto",
        "cpu_fallback": False,
        "cpus_per_replica": 1,
        "batch_size": 256,
    },
    "output": {"uri": "s3://results/runs/", "rows_per_file": 10000},
    "errors": {"max_fraction": 0.01, "max_pixels": 89478485, "max_bytes": 67108864},
    "report": {"samples": 24},
}
PARQUET = {
    "kind": "parquet",
    "uri": "t.parquet",
    "image_column": "image",
    "keep": ["sku", "price"],
    "label_from": "class",
}
WEBDATASET = {"kind": "webdataset", "uri": "gs://b/{0..9}.tar", "label_from": ".cls"}
LIST = {
    "kind": "list",
    "uri": "l.csv",
    "uri_column": "url",
    "label_from": "class",
    "keep": ["sku"],
    "suffixes": [".jpg"],
}
RUN = {
    "kind": "run",
    "uri": "s3://b/runs/x",
    "crops": True,
    "where": "label = 'car'",
    "label_from": "expected",
    "keep": ["label", "a"],
}
SCHEMA = json.loads(Path(inspect.getfile(JobSpec)).parents[1].joinpath("spec.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_promised_defaults() -> None:
    assert JobSpec.model_validate(REQUIRED).model_dump() == {
        "version": 1,
        "name": "x",
        "source": {
            "kind": "files",
            "uri": "images",
            "suffixes": (
                *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
                *(".avif", ".jp2", ".j2k", ".jpx", ".heic", ".heif", ".jxl"),
            ),
            "include": (),
            "exclude": (),
            "label_from": "none",
            "label_file": None,
            "label_column": "label",
            "name_column": "file_name",
            "label_names": None,
            "orientation": "auto",
            "depth": "clip",
            "decode": "exact",
            "limit": None,
        },
        "model": {
            "kind": "torchvision",
            "name": "resnet18",
            "revision": None,
            "task": "classify",
            "weights": "DEFAULT",
            "weights_key": None,
            "recipe": None,
            "labels": None,
            "top_k": 5,
            "score_threshold": 0.9,
            "precision": "auto",
            "compile": False,
        },
        "compute": {
            "concurrency": 1,
            "gpus_per_replica": "auto",
            "cpu_fallback": False,
            "cpus_per_replica": 1,
            "batch_size": 256,
        },
        "output": {"uri": "runs", "rows_per_file": 10_000},
        "errors": {"max_fraction": 0.01, "max_pixels": 89_478_485, "max_bytes": 67_108_864},
        "report": {"samples": 24},
    }


def test_the_promised_defaults_of_other_sources() -> None:
    parquet = JobSpec.model_validate(REQUIRED | {"source": {"kind": "parquet", "uri": "t"}}).source
    assert parquet.model_dump(exclude={"kind", "uri"}) == {
        "label_from": "none",
        "label_names": None,
        "image_column": None,
        "uri_column": None,
        "keep": (),
        "orientation": "auto",
        "depth": "clip",
        "decode": "exact",
        "limit": None,
    }
    webdataset = JobSpec.model_validate(REQUIRED | {"source": {"kind": "webdataset", "uri": "t"}}).source
    assert webdataset.model_dump(exclude={"kind", "uri"}) == {
        "label_from": "none",
        "label_names": None,
        "orientation": "auto",
        "depth": "clip",
        "decode": "exact",
        "limit": None,
    }


def test_the_promised_defaults_of_a_list() -> None:
    found = JobSpec.model_validate(REQUIRED | {"source": {"kind": "list", "uri": "t"}}).source
    assert found.model_dump(exclude={"kind", "uri"}) == {
        "uri_column": None,
        "label_from": "none",
        "label_names": None,
        "keep": (),
        "suffixes": None,
        "orientation": "auto",
        "depth": "clip",
        "decode": "exact",
        "limit": None,
    }


def test_exactly_five_fields_have_no_default() -> None:
    paths = [path for path in _leaves(REQUIRED) if not _accepted(_without(REQUIRED, path))]
    assert paths == [("name",), ("source", "uri"), ("model", "kind"), ("model", "name"), ("output", "uri")]


@pytest.mark.parametrize(
    "source", [EVERYTHING["source"], PARQUET, WEBDATASET, LIST, RUN], ids=lambda source: source["kind"]
)
def test_the_schema_and_the_models_take_the_contract_s_example(source: dict[str, Any]) -> None:
    example = EVERYTHING | {"source": source}
    VALIDATOR.validate(example)
    dumped = JobSpec.model_validate(example).model_dump(mode="json")
    assert {key: dumped["source"][key] for key in source} == source
    assert dumped | {"source": source} == example


def test_the_schema_is_sound_and_says_what_it_is() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"]
    assert SCHEMA["properties"]["source"]["discriminator"]["mapping"].keys() == {
        "files",
        "parquet",
        "webdataset",
        "list",
        "run",
    }


def test_every_field_has_a_description_and_no_object_takes_other_keys() -> None:
    objects = [SCHEMA, *SCHEMA["$defs"].values()]
    assert len(objects) == 12
    for schema in objects:
        assert schema["additionalProperties"] is False
        for name, field in schema["properties"].items():
            assert len(field.get("description", "")) > 10, f"{schema['title']}.{name}"


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 600),
    st.floats(allow_nan=False),
    st.text(max_size=4),
    st.lists(st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_what_the_models_take_the_schema_takes(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from([EVERYTHING["source"], PARQUET, WEBDATASET, LIST, RUN]))
    example = copy.deepcopy(EVERYTHING | {"source": source})
    *sections, key = data.draw(st.sampled_from([*_leaves(example), *((section,) for section in example)]))
    (example[sections[0]] if sections else example)[key] = data.draw(JUNK)
    if _accepted(example):
        VALIDATOR.validate(example)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("compute", "batch_size", "256"),
        ("compute", "batch_size", True),
        ("compute", "batch_size", 256.0),
        ("compute", "gpus_per_replica", "1"),
        ("compute", "gpus_per_replica", False),
        ("compute", "cpu_fallback", "yes"),
        ("compute", "cpu_fallback", 1),
        ("model", "top_k", "5"),
        ("model", "score_threshold", "0.9"),
        ("model", "score_threshold", float("nan")),
        ("model", "name", 5),
        ("source", "suffixes", ".jpg"),
        ("report", "samples", "24"),
    ],
)
def test_a_value_of_another_type_is_refused_and_not_repaired(section: str, key: str, value: object) -> None:
    example = copy.deepcopy(EVERYTHING)
    example[section][key] = value
    assert not _accepted(example)


@pytest.mark.parametrize("version", [0, 2, True, 1.0, "1", None])
def test_only_version_one_is_read(version: object) -> None:
    assert not _accepted(REQUIRED | {"version": version})


def test_a_model_that_only_detects_is_not_asked_to_classify_by_default() -> None:
    with pytest.raises(ValidationError, match="fasterrcnn_resnet50_fpn_v2 can only detect"):
        ModelSpec(kind="torchvision", name="fasterrcnn_resnet50_fpn_v2")
    assert ModelSpec(kind="torchvision", name="fasterrcnn_resnet50_fpn_v2", task="detect").weights == "DEFAULT"


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ({"kind": "transformers", "name": "https://host/model"}, "unknown scheme https://"),
        ({"kind": "transformers", "name": "a/b", "weights": "w.pth"}, "only torchvision models take weights"),
        ({"kind": "python", "name": "module.factory"}, "module:factory"),
        ({"kind": "python", "name": "m:f", "recipe": "DEFAULT"}, "the others bring their own"),
        ({"kind": "transformers", "name": "a/b", "recipe": {"resize": 8, "crop": 8}}, "the others bring their own"),
        ({"kind": "torchvision", "name": "ssd300_vgg16", "task": "detect", "recipe": "DEFAULT"}, "by themselves"),
        ({"kind": "torchvision", "name": "resnet18", "recipe": "IMAGENET1K_V2"}, "has the recipes of its weights"),
        ({"kind": "torchvision", "name": "resnet18", "weights_key": "model"}, "model.weights names none"),
        ({"kind": "torchvision", "name": "resnet18", "weights": "http://host/w.pth"}, "unknown scheme http://"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_refused(model: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        ModelSpec(**model)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"kind": "files", "suffixes": ["jpg"]}, "such as .jpg; 'jpg' is not"),
        ({"kind": "files", "suffixes": [".jpg", "."]}, "such as .jpg; '.' is not"),
        ({"kind": "files", "suffixes": [".. "]}, "such as .jpg; '.. ' is not"),
        ({"kind": "files", "suffixes": []}, "at least 1"),
        ({"kind": "files", "suffixes": ["."]}, "such as .jpg; '.' is not"),
        ({"kind": "files", "suffixes": ["any", ".jpg"]}, "any stands alone"),
        ({"kind": "files", "label_from": "directory", "label_file": "l.csv"}, "exclusive with label_from"),
        ({"kind": "files", "label_column": "class"}, "a column of label_file, which is not given"),
        ({"kind": "files", "exclude": ["/"]}, "such as .*thumb.jpg; '/' is not"),
        ({"kind": "parquet", "image_column": "a", "uri_column": "b"}, "exclusive with image_column"),
        ({"kind": "parquet", "keep": ["sku", "label"]}, "'label' is a column that Tench writes"),
        ({"kind": "parquet", "keep": ["sku", "sku"]}, "names a column twice"),
        ({"kind": "list", "keep": ["label"]}, "'label' is a column that Tench writes"),
        ({"kind": "list", "suffixes": ["jpg"]}, "such as .jpg; 'jpg' is not"),
        ({"kind": "list", "suffixes": ["any"]}, "leave suffixes out to take every URI"),
        ({"kind": "webdataset", "label_from": "cls"}, "a member's suffix is a dot and letters"),
        ({"kind": "webdataset", "label_from": "."}, "a member's suffix is a dot and letters"),
        ({"kind": "webdataset", "label_from": ".:key"}, "a member's suffix is a dot and letters"),
        ({"kind": "webdataset", "label_from": ".json:"}, "the key is missing behind the colon"),
        ({"kind": "run", "keep": ["label", "source_label"]}, "would write two columns 'source_label'"),
        ({"kind": "run", "crops": True, "keep": ["box", "source_box"]}, "would write two columns 'source_box'"),
        ({"kind": "run", "crops": True, "orientation": "keep"}, "the way up that the earlier run read it"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(source: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        JobSpec.model_validate(REQUIRED | {"source": {"uri": "x", **source}})


def test_a_spec_is_frozen_and_can_be_a_key() -> None:
    spec, again = JobSpec.model_validate(EVERYTHING), JobSpec.model_validate(EVERYTHING)
    assert {spec: "seen"}[again] == "seen"
    for model, name in [(spec, "name"), (spec.source, "uri"), (spec.model, "weights"), (spec.compute, "batch_size")]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, name, "other")


def _accepted(data: dict[str, Any]) -> bool:
    try:
        JobSpec.model_validate(data)
    except ValidationError:
        return False
    return True


def _leaves(data: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        path
        for section, value in data.items()
        for path in ([(section, key) for key in value] if isinstance(value, dict) else [(section,)])
    ]


def _without(data: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    rest = copy.deepcopy(data)
    del (rest[path[0]] if len(path) == 2 else rest)[path[-1]]
    return rest
