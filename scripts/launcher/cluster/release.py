"""The release: a run as helm would install it. Release, run and run folder have one name, the run id."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import yaml

from job.errors import UsageError
from job.plan.paths import RunPaths
from job.plan.plan import run_paths
from job.spec.spec import JobSpec
from job.spec.spec_file import parse_spec
from tench.launcher.cluster.helm import ChartValues, Helm
from tench.launcher.cluster.kube import Object

_RELEASE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST = 53
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Release:
    """What would be installed. `spec` is the job with what the values change of it."""

    paths: RunPaths
    spec: JobSpec
    values: ChartValues
    manifest: str

    @property
    def name(self) -> str:
        return self.paths.run_id

    @property
    def objects(self) -> list[Object]:
        return [each for each in yaml.load_all(self.manifest, _LOADER) if each]

    @property
    def rayjob(self) -> Object:
        return next(each for each in self.objects if each["kind"] == "RayJob")


def render_release(helm: Helm, spec: JobSpec, run_id: str | None, values: ChartValues) -> Release:
    """Renders the chart. Raises UsageError where values are wrong, or change what the run is."""
    paths = run_paths(spec, run_id)
    if not _RELEASE.fullmatch(paths.run_id) or len(paths.run_id) > _LONGEST:
        raise UsageError(
            f"--run-id {paths.run_id!r} cannot name a Helm release; "
            f"use at most {_LONGEST} lower-case letters, digits, - and ., a letter or digit at both ends"
        )
    # The user's keys alone: what the spec leaves out has the defaults of the image that runs it.
    own = {"job": spec.model_dump(mode="json", exclude_unset=True), "runId": paths.run_id}
    release = Release(paths, spec, replace(values, own=own), "")
    rendered = replace(release, manifest=helm.template(release.name, release.values))
    return replace(rendered, spec=_job_of(rendered, run_id))


def _job_of(release: Release, run_id: str | None) -> JobSpec:
    configmap = next((each for each in release.objects if each["kind"] == "ConfigMap"), None)
    if configmap is None:
        raise UsageError("the values make a warm cluster and no run (mode: cluster); install them with helm itself")
    spec = parse_spec(configmap["data"]["job.yaml"].encode(), "the job with the values")
    if run_paths(spec, run_id) != release.paths or run_paths(spec) != run_paths(release.spec):
        raise UsageError(
            "--set or -f changes the job's source, model, output or rows_per_file; change the spec instead"
        )
    return spec


def differing(release: Release, installed: str) -> Sequence[str]:
    """Kinds of the objects that an upgrade would change."""
    there = {(each["kind"], each["metadata"]["name"]): each for each in yaml.load_all(installed, _LOADER) if each}
    wanted = {(each["kind"], each["metadata"]["name"]): each for each in release.objects}
    return sorted({kind for kind, name in {*there, *wanted} if there.get((kind, name)) != wanted.get((kind, name))})
