"""The estimate: pods, GPUs and, from a throughput that is given or was measured before, GPU-hours."""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from job.errors import StoreError
from job.plan.paths import RunPaths
from job.plan.records import Plan, UnreadableRecord, load_plan, load_progress
from job.spec.spec import JobSpec
from job.stores.storage import Folder, open_folder
from job.terminal.wording import counted, duration, rate
from tench.launcher.preflight.pod_groups import PodGroup

LOOKED_AT = 20  # folders of earlier runs


class Measured(BaseModel):
    """Images a second of one replica, and who says so."""

    images_per_second: float
    source: str


class Estimate(BaseModel):
    """As `tench plan -o json` prints it; null is what nothing is known of. The time is without the start of pods."""

    pods: int
    gpus: int
    images: int | None
    measured: Measured | None
    seconds: float | None
    gpu_hours: float | None

    def line(self) -> str:
        own = f"{counted(self.pods, 'pod')}, {counted(self.gpus, 'GPU') if self.gpus else 'no GPUs'}"
        pods = own if self.pods else "no pods of its own"
        if self.measured is not None and self.images is None:
            return f"{pods}; how long is not known, as not all of the source is listed"
        if self.measured is None or self.seconds is None or self.gpu_hours is None:
            return f"{pods}; how long is not known, no earlier run tells: give --images-per-second of a replica"
        speed = f"{rate(self.measured.images_per_second)} images/s a replica ({self.measured.source})"
        hours = f" and {rate(self.gpu_hours)} GPU-hours" if self.gpus else ""
        return f"{pods}; about {duration(self.seconds)}{hours} at {speed}"


def estimate(spec: JobSpec, groups: Sequence[PodGroup], images: int | None, measured: Measured | None) -> Estimate:
    """`images` are those that are left to do."""
    gpus = sum(group.gpus for group in groups)
    seconds = None
    if images is not None and measured is not None:
        seconds = images / (measured.images_per_second * spec.compute.concurrency)
    return Estimate(
        pods=sum(group.count for group in groups),
        gpus=gpus,
        images=images,
        measured=measured,
        seconds=None if seconds is None else round(seconds, 1),
        gpu_hours=None if seconds is None else round(gpus * seconds / 3600, 3),
    )


def measure(spec: JobSpec, run_id: str) -> Measured | None:
    """What an earlier run of the same model and compute got, by its `progress.json`: this run's own first.

    One listing of the folders under the output, and two small objects of some of them.
    """
    try:
        names = [name for name in open_folder(spec.output.uri).folders() if name != run_id]
        names.sort(key=lambda name: name.startswith(f"{spec.name}-"), reverse=True)
        return _first(spec, [run_id, *names[:LOOKED_AT]])
    except StoreError:
        return None


def _first(spec: JobSpec, run_ids: Iterable[str]) -> Measured | None:
    for run_id in run_ids:
        folder = open_folder(RunPaths(spec.output.uri, run_id).uri)
        plan, speed = _read_plan(folder), _speed(folder)
        if plan and speed and _is_alike(plan, spec):
            replicas = JobSpec.model_validate(plan.spec).compute.concurrency
            return Measured(images_per_second=round(speed / replicas, 2), source=f"run {run_id}")
    return None


def _read_plan(folder: Folder) -> Plan | None:
    try:
        return load_plan(folder)
    except UnreadableRecord:  # another program's plan.json
        return None


def _speed(folder: Folder) -> float | None:
    try:
        progress = load_progress(folder)
    except UnreadableRecord:
        return None
    return progress.images_per_second or None if progress else None


def _is_alike(plan: Plan, spec: JobSpec) -> bool:
    """Same model, on as many GPUs a replica. Which GPU it was is not known."""
    try:
        there = JobSpec.model_validate(plan.spec)
    except ValueError:  # of another version of Tench
        return False
    return (there.model, there.compute.gpus_per_replica) == (spec.model, spec.compute.gpus_per_replica)
