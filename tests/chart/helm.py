"""`helm`, as the chart's tests call it: what it renders, and the error where it renders nothing.

Values are a mapping, or the name of a file in `values/`; changes go before them, as a second file of values would.
"""

import functools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tench"
VALUES = Path(__file__).parent / "values"
CASES = sorted(path.stem for path in VALUES.glob("*.yaml"))
RELEASE, NAMESPACE = "imagenette", "vision"
KUBERNETES = "1.34.4"  # helm asks no cluster
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # YAML 1.1, as Kubernetes reads it

Object = Mapping[str, Any]
Values = Mapping[str, Any] | str

# The least that a run's values are.
RUN: Object = {
    "job": {
        "name": "products",
        "source": {"uri": "s3://images/products/"},
        "model": {"kind": "torchvision", "name": "resnet152"},
        "compute": {"concurrency": 8, "gpus_per_replica": 1},
        "output": {"uri": "s3://results/runs/"},
    }
}


class HelmError(Exception):
    """What helm says."""


def manifest(
    values: Values,
    changes: Object | None = None,
    release: str = RELEASE,
    chart: Path = CHART,
    kubernetes: str = KUBERNETES,
) -> str:
    """The manifest's text. Raises HelmError."""
    options = ["--namespace", NAMESPACE, "--kube-version", kubernetes]
    return _helm("template", release, str(chart), *options, values=values, changes=changes)


def render(values: Values, changes: Object | None = None, release: str = RELEASE, chart: Path = CHART) -> list[Object]:
    """The manifest's objects. Raises HelmError."""
    return list(yaml.load_all(manifest(values, changes, release, chart), LOADER))


@functools.cache
def case(name: str) -> list[Object]:
    """The objects of a file in `values/`, rendered once for all tests that only look."""
    return render(name)


def lint(values: Values) -> None:
    """Raises HelmError for a warning, too."""
    _helm("lint", "--strict", str(CHART), values=values)


def load_values(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((VALUES / f"{name}.yaml").read_text(encoding="utf-8"), LOADER)
    return loaded


def merged(values: Object, changes: Object) -> dict[str, Any]:
    """As helm merges two files of values."""
    shared = values.keys() & changes.keys()
    both = {key: merged(values[key], changes[key]) for key in shared if _are_objects(values[key], changes[key])}
    return {**values, **changes, **both}


def of_kind(objects: list[Object], kind: str) -> Object:
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def ray_cluster(objects: list[Object]) -> Object:
    """The spec of the Ray cluster, of a run's own or of one that stays."""
    (spec,) = (each["spec"] for each in objects if each["apiVersion"] == "ray.io/v1")
    cluster: Object = spec.get("rayClusterSpec", spec)
    return cluster


def pod_templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Component and pod template of every pod that KubeRay will make."""
    for each in objects:
        if each["apiVersion"] == "ray.io/v1":
            spec = each["spec"]
            cluster = spec.get("rayClusterSpec", spec)
            groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]] if "headGroupSpec" in cluster else []
            templates = [spec.get("submitterPodTemplate"), *(group["template"] for group in groups)]
            yield from ((pod["metadata"]["labels"]["app.kubernetes.io/component"], pod) for pod in templates if pod)


def _helm(*command: str, values: Values, changes: Object | None = None) -> str:
    if isinstance(values, str) and changes is None:
        source, text = str(VALUES / f"{values}.yaml"), ""
    else:
        loaded = load_values(values) if isinstance(values, str) else values
        source, text = "-", _as_yaml(merged(loaded, changes or {}))
    done = subprocess.run(["helm", *command, "--values", source], input=text, capture_output=True, text=True)
    if done.returncode:
        raise HelmError(done.stderr + done.stdout)
    return done.stdout


def _are_objects(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _as_yaml(values: Object) -> str:
    """JSON without what helm's YAML reads otherwise: surrogate pairs, and line ends that only YAML has."""
    text = json.dumps(values, ensure_ascii=False)
    return re.sub(r"[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", text)
