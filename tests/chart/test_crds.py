"""The CRDs: the API server of every KubeRay would keep each field that is rendered, and refuse none.

`make crds` fetches their schemas; a version that is not there is skipped.
"""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from chart.helm import CASES, ROOT, Object, case, load_values, merged, render

from scripts.kind.crds import CRDS, VERSIONS, manifest_minor, served_schema

KINDS = {"RayJob": "rayjobs", "RayCluster": "rayclusters"}
# What an older operator has not got, a guard refuses.
OLDER: dict[str, Object] = {
    "1.4": {"auth": {"mode": "disabled", "secret": ""}, "deadlines": {"preRunningSeconds": None}},
    "1.5": {"auth": {"secret": ""}, "deadlines": {"preRunningSeconds": None}},
}


def _unique_by_keys(_: Any, keys: list[str], items: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """A list that the API server takes for a map."""
    found = [tuple(item.get(key) for key in keys) for item in items]
    if len(set(found)) < len(found):
        yield jsonschema.ValidationError(f"two of {found!r} are the same by {keys}")


Strict = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"x-kubernetes-list-map-keys": _unique_by_keys})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_case_fits_the_crds_of_every_kuberay(name: str, version: str) -> None:
    validators = _validators(version)
    own = load_values(name).get("kuberay", {}).get("version", "1.6")
    changes = merged({"kuberay": {"version": version}}, OLDER.get(version, {}))
    objects = case(name) if version == own else render(name, changes)
    ours = [each for each in objects if each["kind"] in KINDS]
    assert ours
    for each in ours:
        assert list(_errors(validators[each["kind"]], each)) == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"spec": {"supsend": False}}, "spec: Additional properties are not allowed ('supsend' was unexpected)"),
        ({"spec": {"backoffLimit": "2"}}, "spec.backoffLimit: '2' is not of type 'integer'"),
        ({"spec": {"rayClusterSpec": {"authOptions": {"mode": "on"}}}}, "'on' is not one of ['disabled', 'token']"),
        ({"metadata": {}, "spec": {"entrypoint": None}}, "spec.entrypoint: None is not of type 'string'"),
    ],
)
def test_the_check_sees_what_the_api_server_would_drop_or_refuse(change: Object, error: str) -> None:
    validator = _validators("1.6")["RayJob"]
    (rayjob,) = (each for each in case("cpu") if each["kind"] == "RayJob")
    assert any(error in found for found in _errors(validator, merged(rayjob, change)))


def test_the_check_sees_a_variable_that_is_there_twice() -> None:
    validator = _validators("1.6")["RayJob"]
    (rayjob,) = json.loads(json.dumps([each for each in case("cpu") if each["kind"] == "RayJob"]))
    container = rayjob["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    container["env"] *= 2
    assert any("are the same by ['name']" in error for error in _errors(validator, rayjob))


def test_a_structural_schema_becomes_a_strict_one() -> None:
    structural = {
        "description": "left out",
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "string", "format": "date-time", "nullable": True},
            "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "open": {"type": "object", "properties": {}, "x-kubernetes-preserve-unknown-fields": True},
            "labels": {"type": "object", "additionalProperties": {"type": "string", "description": "left out"}},
            "env": {
                "type": "array",
                "items": {"type": "object", "properties": {}},
                "x-kubernetes-list-map-keys": ["name"],
            },
        },
    }
    crd = {"spec": {"versions": [{"storage": False}, {"storage": True, "schema": {"openAPIV3Schema": structural}}]}}
    assert served_schema(crd) == {
        "type": "object",
        "required": ["a"],
        "additionalProperties": False,
        "properties": {
            "a": {"type": ["string", "null"]},
            "port": {"type": ["integer", "string"]},
            "open": {"type": "object", "properties": {}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "env": {
                "type": "array",
                "items": {"type": "object", "properties": {}, "additionalProperties": False},
                "x-kubernetes-list-map-keys": ["name"],
            },
        },
    }


def test_a_manifest_s_version_is_its_operator_s() -> None:
    assert manifest_minor("image: quay.io/kuberay/operator:v1.7.0") == "1.7"
    assert manifest_minor("image: registry.example.com/operator:1.4.2@sha256:00") == "1.4"


def _validators(version: str) -> dict[str, Any]:
    paths = {kind: ROOT / CRDS / version / f"{plural}.json" for kind, plural in KINDS.items()}
    if not all(path.exists() for path in paths.values()):
        pytest.skip(f"no CRDs of KubeRay {version} in {CRDS}: make crds")
    return {kind: Strict(json.loads(path.read_text(encoding="utf-8"))) for kind, path in paths.items()}


def _errors(validator: Any, document: Object) -> Iterator[str]:
    for error in validator.iter_errors(document):
        yield f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}"
