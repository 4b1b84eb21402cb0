"""Runs that 0.1 left: their ids took relative paths as they were written, and no limit on images counted.

Such a run is found under its old id and goes on there, where its paths meant what they mean here. `plan.json` does not
say it; the images' absolute URIs in the manifest do.
"""

import logging
import re
from collections.abc import Sequence

from job.errors import PlanChanged
from job.plan.fingerprint import absolute_path, earlier_fingerprint, fingerprint, with_absolute_paths
from job.plan.manifest import Manifest
from job.plan.paths import RunPaths
from job.plan.plan import changed_limits, run_paths
from job.plan.records import Plan, load_plan
from job.spec.spec import JobSpec
from job.stores.storage import open_folder

log = logging.getLogger(__name__)


def find_run(spec: JobSpec, run_id: str | None = None) -> RunPaths:
    """Where the spec's run is, or goes.

    Raises UsageError for a run id that names no folder; PlanChanged where it is of the same relative paths in another
    folder.
    """
    paths = run_paths(spec, run_id)
    earlier = earlier_fingerprint(spec)
    if earlier == fingerprint(spec):
        return paths
    folder = open_folder(paths.uri)
    if run_id is None and (folder.head(RunPaths.plan) or folder.head(paths.manifest(0))):
        return paths
    old = paths if run_id else RunPaths(spec.output.uri, f"{spec.name}-{earlier[:8]}")
    plan = load_plan(open_folder(old.uri))
    if plan is None or plan.fingerprint != earlier or (not run_id and changed_limits(plan, spec)):
        return paths
    moved = _moved(plan, spec, old)
    if run_id and moved:
        raise PlanChanged(
            f"run {run_id} was planned with the same spec in another folder; give this one another --run-id, or leave "
            f"it out\n  " + "\n  ".join(moved)
        )
    if moved is None and not run_id:
        log.warning(
            "run %s is of the same spec, by an older version that did not note in which folder; this is run %s; if it "
            "was here, go on with it by --run-id %s",
            *(old.run_id, paths.run_id, old.run_id),
        )
    return old if moved == [] else paths


def _moved(plan: Plan, spec: JobSpec, paths: RunPaths) -> Sequence[str] | None:
    """How the paths of an older plan differ from this spec's; None where nothing tells."""
    here = with_absolute_paths(spec)
    if here.source.uri != spec.source.uri:
        first = Manifest(paths, plan.parts).rows(0, ["uri"])["uri"][0].as_py()
        if _is_below(first, here.source.uri):
            return []
        if getattr(spec.source, "uri_column", None) is None:
            return [f"source.uri: the folder of {first} → {here.source.uri}"]
    if absolute_path(spec.output.uri) != spec.output.uri:
        return []  # it lies in this folder itself
    # Of the model's files the plan has digests, which are compared before an image is read.
    return [] if here.source == spec.source and (plan.model or here == spec) else None


def _is_below(uri: str, source: str) -> bool:
    """Whether an image's URI is one of those that a source's absolute path means."""
    literal = re.split(r"[*?{\[]", source, maxsplit=1)[0]
    return (
        uri.startswith(literal) if literal != source else uri == source or uri.startswith((f"{source}/", f"{source}#"))
    )
