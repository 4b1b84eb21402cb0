"""The spec travels verbatim: what the pods read is the spec that the values hold, in a ConfigMap or in a variable."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.helm import CHART, RELEASE, ROOT, RUN, Object, of_kind, render
from hypothesis import example, given, settings
from hypothesis import strategies as st

from job.spec.columns import RESERVED
from job.spec.spec import JobSpec
from job.spec.spec_file import parse_spec

SPECS = sorted([*(ROOT / "manifests" / "jobs").glob("*.yaml"), *(ROOT / "scripts" / "demo" / "specs").glob("*.yaml")])
ODD = [
    *("on", "no", "~", "null", "true", "010", "0x1f", "1e3", "1_000", "2024-01-01", "1:30", ".inf", "=", "<<"),
    *("a: b", "- y", "#z", " lead", "trail ", "@x", "%p", "!t", "&a", "*b", "|", ">", "?", ":", "'", '"', "`", "\\n"),
    *("{{ .Values }}", "{a}", "[b]", "$HOME", "${HOME}", "ünï", "絵", "😀", "\ufeff", "tab\t", "\r\n"),
    *("two\nlines\n\n", "  indented\n  lines", "\n", " \n ", "\x00", "\x1b", "\u200b", "\u00a0"),
]
# A guard refuses what YAML cannot hold, the spec the columns that Tench writes; half a surrogate pair is no text.
LOST = [*map(chr, range(0x7F, 0xA0)), *"\u2028\u2029\ufffe\uffff"]
WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=LOST), min_size=1)
WORDS = st.lists(WORD.filter(lambda word: word not in RESERVED), min_size=1, unique=True)


def test_numbers_stay_whole() -> None:
    numbers: dict[str, Any] = {
        "errors": {"max_pixels": 89_478_485, "max_bytes": 1_000_000_000_000, "max_fraction": 1e-7},
        "output": {"rows_per_file": 1_000_000},
    }
    spec = _travelled({"job": numbers})
    assert (spec.errors.max_pixels, spec.errors.max_bytes) == (89_478_485, 1_000_000_000_000)
    assert (spec.errors.max_fraction, spec.output.rows_per_file) == (1e-7, 1_000_000)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_spec_of_the_repository_arrives_equal(path: Path) -> None:
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    # Those for this machine have paths and leave the GPUs open; on a cluster a guard refuses both.
    for section, key in (("source", "uri"), ("source", "label_names"), ("model", "labels"), ("output", "uri")):
        _to_a_bucket(spec[section], key)
    if spec["model"].get("weights", "").endswith(".safetensors"):
        _to_a_bucket(spec["model"], "weights")
    spec["compute"] = {"gpus_per_replica": 0, **spec.get("compute", {})}
    values = {"job": spec, "workers": {"cpus": 8}}
    assert _parsed(render(values)) == JobSpec.model_validate(spec)


@settings(max_examples=20)
@given(WORDS)
@example(ODD)
def test_any_text_that_yaml_can_hold_arrives_in_the_configmap(words: list[str]) -> None:
    assert _travelled(_source(words)).source.keep == tuple(words)


@settings(max_examples=20)
@given(WORDS)
@example(ODD)
def test_any_text_that_yaml_can_hold_arrives_in_the_variable(words: list[str]) -> None:
    rayjob = of_kind(render(RUN, {**_source(words), "cluster": "warm"}), "RayJob")
    assert _of_variable(yaml.safe_load(rayjob["spec"]["runtimeEnvYAML"])).source.keep == tuple(words)


def test_a_shell_between_the_spec_and_the_variable_changes_nothing() -> None:
    rayjob = of_kind(render(RUN, {**_source(ODD), "cluster": "warm"}), "RayJob")
    runtime_env = yaml.safe_load(rayjob["spec"]["runtimeEnvYAML"])
    # KubeRay's submitter has the runtime environment as JSON, in double quotes, in a line for bash.
    line = f"printf %s {json.dumps(json.dumps(runtime_env))}"
    passed = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
    assert _of_variable(json.loads(passed)).source.keep == tuple(ODD)


def test_the_configmap_is_immutable_and_the_head_alone_mounts_it() -> None:
    objects = render(RUN)
    configmap = of_kind(objects, "ConfigMap")
    assert configmap["immutable"] is True
    cluster = of_kind(objects, "RayJob")["spec"]["rayClusterSpec"]
    head, worker = (group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]))
    assert {"name": "job", "configMap": {"name": configmap["metadata"]["name"]}} in head["volumes"]
    assert {"name": "job", "mountPath": "/etc/tench", "readOnly": True} in head["containers"][0]["volumeMounts"]
    assert "configMap" not in json.dumps(worker)


def test_the_spec_arrives_through_a_chart_that_has_this_one_as_a_part(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: whole, version: 1.0.0}")
    shutil.copytree(CHART, tmp_path / "charts" / "tench")
    objects = render({"tench": RUN, "global": {"team": "vision"}}, chart=tmp_path)
    assert _parsed(objects) == JobSpec.model_validate(RUN["job"])
    assert of_kind(objects, "RayJob")["spec"] == of_kind(render(RUN), "RayJob")["spec"]


def _source(words: list[str]) -> Object:
    return {"job": {"source": {"kind": "parquet", "uri": "s3://images/products.parquet", "keep": words}}}


def _travelled(changes: Object) -> JobSpec:
    return _parsed(render(RUN, changes))


def _parsed(objects: list[Object]) -> JobSpec:
    """What the job reads of the ConfigMap."""
    (name, text), *others = of_kind(objects, "ConfigMap")["data"].items()
    assert not others
    assert of_kind(objects, "RayJob")["spec"]["entrypoint"].startswith(f"python -m job /etc/tench/{name} {RELEASE}-")
    return parse_spec(text.encode(), name)


def _of_variable(runtime_env: Object) -> JobSpec:
    """What the job reads of its environment, where Ray expands variables in variables."""
    ((name, value),) = runtime_env["env_vars"].items()
    assert name == "TENCH_JOB"
    return parse_spec(os.path.expandvars(value).encode(), name)


def _to_a_bucket(section: dict[str, Any], key: str) -> None:
    if key in section and "://" not in section[key]:
        section[key] = f"s3://results/{section[key]}"
