"""What five cases render to, in full, for they take most branches of the templates; test_cases.py has the others.

A change is taken with `TENCH_ACCEPT=1 pytest FILE`, this one.
"""

import os
from pathlib import Path

import pytest
import yaml
from chart.helm import CASES, CHART, ROOT, VALUES, case, lint, load_values, manifest, merged

GOLDEN = Path(__file__).parent / "golden"
ACCEPT = "TENCH_ACCEPT=1 pytest tests/chart/test_golden.py"
# A run on GPUs, its submitter, all that an administrator may ask; a cluster that stays, and a run on it.
WHOLE = ["k8sjobmode", "private-registry", "resnet152-imagenette", "run-on-warm-cluster", "warm-cluster"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_case_renders_as_before(name: str) -> None:
    golden = GOLDEN / f"{name}.yaml"
    text = manifest(name)
    if os.environ.get("TENCH_ACCEPT"):
        golden.write_text(text, encoding="utf-8")
    before = golden.read_text(encoding="utf-8") if golden.exists() else ""
    assert text == before, f"{name} renders differently; where that is meant: {ACCEPT}"


def test_every_golden_file_is_compared() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.yaml")) == WHOLE


@pytest.mark.parametrize("name", CASES)
def test_a_case_says_what_it_is(name: str) -> None:
    assert (VALUES / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", ["decoders", "private-registry"])
def test_the_same_values_render_the_same(name: str) -> None:
    assert manifest(name) == manifest(name)


@pytest.mark.parametrize("name", CASES)
def test_a_case_passes_the_strict_lint(name: str) -> None:
    lint(name)


def test_the_values_for_the_chart_s_own_check_pass_the_strict_lint() -> None:
    (values,) = (CHART / "ci").glob("*-values.yaml")
    lint(yaml.safe_load(values.read_text(encoding="utf-8")))


def test_the_reference_workload_is_the_one_of_the_manifests() -> None:
    spec = yaml.safe_load((ROOT / "manifests" / "jobs" / "resnet152-imagenette.yaml").read_text(encoding="utf-8"))
    # A pod has no copy of the label map.
    in_a_bucket = {"source": {"label_names": "s3://results/imagenette-labels.json"}}
    assert load_values("resnet152-imagenette")["job"] == merged(spec, in_a_bucket)


def test_each_object_of_a_run_is_there_once_and_in_the_release_s_namespace() -> None:
    for name in CASES:
        objects = case(name)
        assert len({(each["kind"], each["metadata"]["name"]) for each in objects}) == len(objects)
        assert {each["metadata"]["namespace"] for each in objects} == {"vision"}
