"""The plan: which specs are the same run, and whether a spec is still the one that was frozen.

What determines the result is its fingerprint; `freeze` writes the plan, `records` has its form.
"""

import hashlib
import json
import logging
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from job.errors import ModelChanged, PlanChanged, UsageError
from job.plan.paths import RunPaths
from job.plan.records import FrozenModel, Plan
from job.settings import IMAGE
from job.spec.spec import JobSpec

log = logging.getLogger(__name__)


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
    raise PlanChanged(
        f"run {plan.run_id} was planned with another spec; give the new one another --run-id, or leave it out\n  "
        + "\n  ".join(_changes(old, new))
    )


def check_source(plan: Plan, identity: str | None) -> None:
    """Raises PlanChanged where the run that a plan takes its images from is another by now; one that is gone is not."""
    if identity is not None and plan.source_identity not in (None, identity):
        raise PlanChanged(
            f"run {plan.run_id} takes its images from a run that was replaced since; give the new one another --run-id"
        )


def check_model(plan: Plan, model: FrozenModel, accept: bool = False) -> bool:
    """Whether an attempt's model is another than the plan's and was accepted. Raises ModelChanged, naming what differs.

    Packages may differ in their patch release, and those that compute nothing in any: that is logged.
    """
    if plan.model is None:
        return False  # an older version's
    now, deciding = versions(), _deciding(plan)
    changes = _changes(_facts(plan.model), _facts(model))
    changes += _changes(_minors(plan.versions, deciding), _minors(now, deciding))
    if changes and not accept:
        raise ModelChanged(
            f"run {plan.run_id} was planned with another model than this attempt has; put it back, give the new one "
            "another --run-id, or let both be in one result by --accept-changed-model\n  " + "\n  ".join(changes)
        )
    for change in changes:
        log.warning("run %s goes on with another model, as accepted: %s", plan.run_id, change)
    if not changes:
        for change in _changes({**plan.versions, "image": plan.image}, {**now, "image": IMAGE.value()}):
            log.warning("run %s goes on with another %s; its files say so", plan.run_id, change)
    return bool(changes)


def check_finished_files(plan: Plan, files: Mapping[str, str]) -> None:
    """Raises ModelChanged where a complete run is of other files than lie there now; of those that are there."""
    before = plan.model.files if plan.model else {}
    known = files.keys() & before.keys()
    changes = _changes({name: before[name] for name in known}, {name: files[name] for name in known})
    if changes:
        raise ModelChanged(
            f"run {plan.run_id} is complete, and it is of another model than there is now; give the new one another "
            "--run-id, or say --accept-changed-model to leave the run as it is\n  " + "\n  ".join(changes)
        )


def _facts(model: FrozenModel) -> dict[str, Any]:
    found = model.model_dump()
    return {**found.pop("files"), **found}


def versions() -> dict[str, str]:
    """Of everything that can change a prediction, as installed; nothing is imported."""
    found = {"python": platform.python_version()}
    for name in (
        "tench", "torch", "torchvision", "transformers", "timm", "ray", "pillow", "simplejpeg", "pillow-heif",
        "pillow-jxl-plugin", "pyarrow",
    ):  # fmt: skip
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _deciding(plan: Plan) -> Sequence[str]:
    """The packages whose minor release may change an answer."""
    kind = plan.spec.get("model", {}).get("kind")
    of_kind = {"torchvision": ["torchvision"], "transformers": ["torchvision", "transformers", "timm"]}.get(kind, [])
    return ["tench", "torch", "pillow", "simplejpeg", "pillow-heif", "pillow-jxl-plugin", *of_kind]


def _minors(found: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: ".".join(found[name].split(".")[:2]) for name in names if name in found}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old, new = _flatten(dict(before)), _flatten(dict(after))
    return [
        f"{key}: {old.get(key)!r} → {new.get(key)!r}" for key in sorted({*old, *new}) if old.get(key) != new.get(key)
    ]


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, child in value.items() for k, v in _flatten(child, f"{path}.{key}" if path else key).items()}
