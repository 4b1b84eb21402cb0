"""The plan: which specs are the same run, and whether a spec is still the one that was frozen.

What determines the result is its fingerprint; `freeze` writes the plan, `records` has its form.
"""

import hashlib
import json
import platform
from importlib import metadata
from typing import Any

from job.errors import PlanChanged, UsageError
from job.plan.paths import RunPaths
from job.plan.records import Plan
from job.spec.spec import JobSpec


def determinants(spec: JobSpec) -> dict[str, Any]:
    """What determines the result: the same of these is the same run."""
    return {
        "source": spec.source.determinants(),
        "model": spec.model.determinants(),
        "output.rows_per_file": spec.output.rows_per_file,
    }


def fingerprint(spec: JobSpec) -> str:
    """sha256 in hex over the determinants."""
    return hashlib.sha256(json.dumps(determinants(spec), sort_keys=True).encode()).hexdigest()


def run_paths(spec: JobSpec, run_id: str | None = None) -> RunPaths:
    """Raises UsageError for a run id that names no folder right below the output."""
    if run_id and (run_id in (".", "..") or "/" in run_id or not run_id.isprintable()):
        raise UsageError(f"the run id {run_id!r} names no folder below output.uri; use letters, digits, -, . and _")
    return RunPaths(spec.output.uri, run_id or f"{spec.name}-{fingerprint(spec)[:8]}")


def check_unchanged(plan: Plan, spec: JobSpec) -> None:
    """Refuses a spec that would give other rows than the frozen ones. Raises PlanChanged, naming each difference."""
    if plan.fingerprint == fingerprint(spec):
        return
    old, new = _flatten(determinants(JobSpec.model_validate(plan.spec))), _flatten(determinants(spec))
    changes = [
        f"{key}: {old.get(key)!r} → {new.get(key)!r}" for key in sorted({*old, *new}) if old.get(key) != new.get(key)
    ]
    raise PlanChanged(
        f"run {plan.run_id} was planned with another spec; give the new one another --run-id, or leave it out\n  "
        + "\n  ".join(changes)
    )


def versions() -> dict[str, str]:
    """Of everything that can change a prediction, as installed; nothing is imported."""
    found = {"python": platform.python_version()}
    for name in ("tench", "torch", "torchvision", "transformers", "ray", "pillow", "simplejpeg", "pyarrow"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, child in value.items() for k, v in _flatten(child, f"{path}.{key}" if path else key).items()}
