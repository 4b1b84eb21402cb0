"""The plan: whether a spec, and its model, are still the ones that were frozen.

`fingerprint` has what determines the result; `freeze` writes the plan, `records` has its form.
"""

import logging
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from typing import Any

from job.errors import ModelChanged, PlanChanged, UsageError
from job.plan.fingerprint import LIMITS, determinants, earlier_fingerprint, fingerprint
from job.plan.paths import RunPaths
from job.plan.records import FrozenModel, Plan
from job.settings import IMAGE
from job.spec.spec import ErrorsSpec, JobSpec

log = logging.getLogger(__name__)


def run_paths(spec: JobSpec, run_id: str | None = None) -> RunPaths:
    """Raises UsageError for a run id that names no folder right below the output."""
    if run_id and (run_id in (".", "..") or "/" in run_id or not run_id.isprintable()):
        raise UsageError(f"the run id {run_id!r} names no folder below output.uri; use letters, digits, -, . and _")
    return RunPaths(spec.output.uri, run_id or f"{spec.name}-{fingerprint(spec)[:8]}")


def check_unchanged(plan: Plan, spec: JobSpec) -> None:
    """Refuses a spec that would give other rows than the frozen ones. Raises PlanChanged, naming each difference."""
    if plan.fingerprint in (fingerprint(spec), earlier_fingerprint(spec)):
        changes = changed_limits(plan, spec)
    else:
        changes = _changes(determinants(JobSpec.model_validate(plan.spec)), determinants(spec))
    if changes:
        leave_out = "" if plan.run_id == run_paths(spec).run_id else ", or leave it out"
        raise PlanChanged(
            f"run {plan.run_id} was planned with another spec; give the new one another --run-id{leave_out}\n  "
            + "\n  ".join(changes)
        )


def changed_limits(plan: Plan, spec: JobSpec) -> list[str]:
    """How the limits on images differ from a plan's; 0.1 did not count them, and may have left it under this id."""
    before = {name: plan.spec.get("errors", {}).get(name) for name in LIMITS}
    default = ErrorsSpec()
    return _changes(
        {f"errors.{name}": getattr(default, name) if value is None else value for name, value in before.items()},
        {f"errors.{name}": getattr(spec.errors, name) for name in before},
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
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    """Reads the metadata of a dozen packages: 50 ms."""
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
