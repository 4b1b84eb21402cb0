"""KubeRay's CRDs as strict JSON Schemas, for the chart's tests: `python -m scripts.kind.crds` writes build/crds.

Each version's are in the operator's Go module, which Go fetches and checks; the version of a file that KUBERAY_MANIFEST
names are taken from that file.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from job.errors import PreflightError, TenchError, UsageError
from scripts.kind.settings import KUBERAY_OPERATOR_IMAGE

MODULE = "github.com/ray-project/kuberay/ray-operator"
VERSIONS = {"1.4": "1.4.2", "1.5": "1.5.1", "1.6": "1.6.2", "1.7": "1.7.0"}
KINDS = ("rayjobs", "rayclusters")
CRDS = Path("build/crds")
_IMAGE_VERSION = re.compile(r"operator:v?(?P<minor>\d+\.\d+)\.\d+")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a CRD has 20,000 lines
_KEPT = frozenset(
    {"type", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"}
    | {"x-kubernetes-list-map-keys"}
)


def main() -> int:
    """Writes what can be had, and says of the rest why not; 1 where there is a rest."""
    path = os.environ.get("KUBERAY_MANIFEST", "")
    manifest = Path(path).read_text(encoding="utf-8") if Path(path).is_file() else ""
    failed = False
    for minor, version in VERSIONS.items():
        try:
            if manifest and minor == manifest_minor(manifest):
                write(minor, yaml.load_all(manifest, _LOADER))
            else:
                write(minor, _module_documents(version))
        except TenchError as error:
            failed = True
            print(f"KubeRay {minor}: {error}", file=sys.stderr)
    return int(failed)


def manifest_minor(manifest: str) -> str:
    """`1.6` of a manifest with the operator 1.6.1. Raises UsageError."""
    for text in (manifest, KUBERAY_OPERATOR_IMAGE):
        if match := _IMAGE_VERSION.search(text):
            return match["minor"]
    raise UsageError("KUBERAY_MANIFEST has no operator with a version in its tag; name one in KUBERAY_OPERATOR_IMAGE")


def write(minor: str, documents: Iterator[Any]) -> None:
    """Raises PreflightError where a CRD is not among the documents."""
    crds = {crd["spec"]["names"]["plural"]: crd for crd in documents if _is_ray_crd(crd)}
    for kind in KINDS:
        if kind not in crds:
            raise PreflightError(f"no CRD of {kind} among what was read")
        target = CRDS / minor / f"{kind}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(served_schema(crds[kind])) + "\n", encoding="utf-8")
        print(f"KubeRay {minor}: wrote {target}", file=sys.stderr)


def served_schema(crd: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of `ray.io/v1`, the version that is stored."""
    (version,) = (version for version in crd["spec"]["versions"] if version["storage"])
    return strict(version["schema"]["openAPIV3Schema"])


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A structural schema as JSON Schema that refuses what the API server would drop without a word."""
    result = {key: value for key, value in schema.items() if key in _KEPT}
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    if schema.get("nullable"):
        result["type"] = [result["type"], "null"]
    if "properties" in schema:
        result["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            result["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            result[key] = strict(schema[key])
    return result


def _is_ray_crd(document: Any) -> bool:
    return bool(
        document and document["kind"] == "CustomResourceDefinition" and document["spec"].get("group") == "ray.io"
    )


def _module_documents(version: str) -> Iterator[Any]:
    bases = _module_folder(version) / "config" / "crd" / "bases"
    for kind in KINDS:
        yield yaml.load((bases / f"ray.io_{kind}.yaml").read_text(encoding="utf-8"), _LOADER)  # noqa: S506 - a safe one


def _module_folder(version: str) -> Path:
    """Where Go keeps the operator's sources. Raises PreflightError with what Go says."""
    if not shutil.which("go"):
        raise PreflightError("Go is not installed: https://go.dev/doc/install")
    command = ["go", "mod", "download", "-json", f"{MODULE}@v{version}"]
    with tempfile.TemporaryDirectory() as outside_of_any_module:
        done = subprocess.run(command, capture_output=True, text=True, cwd=outside_of_any_module)
    answer = json.loads(done.stdout or "{}")
    if "Dir" not in answer:
        raise PreflightError(str(answer.get("Error") or done.stderr.strip()).splitlines()[0])
    return Path(answer["Dir"])


if __name__ == "__main__":
    sys.exit(main())
