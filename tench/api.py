"""Running and reading runs from Python: what `tench run` and `tench plan` do, with values for answers.

Everything here raises the errors of `job.errors`; nothing prints but the progress bar.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from job.errors import ModelError, OutputError, PreflightError, UsageError
from job.spec import spec_file
from job.spec.spec import JobSpec

if TYPE_CHECKING:
    from job.results.preview import Preview
    from job.run import Result
    from tench.stored_run import StoredRun

Spec = JobSpec | Mapping[str, Any] | str | os.PathLike[str]
"""A spec, its keys as a mapping, or the path of its file."""


def load_spec(spec: Spec) -> JobSpec:
    """Reads and checks a spec. Raises SpecError with every problem found, UsageError where there is no such file."""
    if isinstance(spec, JobSpec):
        return spec
    return spec_file.spec_of(spec) if isinstance(spec, Mapping) else spec_file.load_spec(os.fsdecode(spec))


def plan(spec: Spec, *, run_id: str | None = None) -> "Preview":
    """What a run would do, from the source's listing: images, shards, classes, what it would skip. Writes nothing.

    `problems` of it are what `run` would refuse on this machine besides: files of the model, the output, GPUs.
    Raises SourceError, OutputError, ModelError where the model cannot be built as the spec says, and PlanChanged where
    the run id belongs to a run of another spec.
    """
    from job.results.preview import preview

    _check_run_id(run_id)
    loaded = load_spec(spec)
    problems = problems_here(loaded, run_id)
    found = preview(loaded, run_id, with_model=not any(isinstance(each, ModelError) for each in problems))
    return found.model_copy(update={"problems": [str(each) for each in problems]})


def problems_here(spec: JobSpec, run_id: str | None) -> Sequence[PreflightError]:
    """What `run` would refuse on this machine, but for its source. Nothing of it matters to a run that is complete.

    The GPUs are not counted where the extra `job` is not installed: a run is for another machine then.
    """
    from job.models.model_files import missing_model_files
    from job.plan.records import load_success
    from job.results.output_folder import check_output, open_output

    problems: list[PreflightError] = list(missing_model_files(spec.model))
    try:
        _, folder, _ = open_output(spec, run_id)
        if load_success(folder):
            return []
        check_output(folder)
    except OutputError as error:
        problems.append(error)
    if spec.compute.gpus_per_replica in ("auto", 0) or spec.compute.cpu_fallback:
        return problems  # without loading torch, which counts the others
    try:
        from job.run import check_devices

        check_devices(spec.compute)
    except ModuleNotFoundError:
        pass
    except PreflightError as error:
        problems.append(error)
    return problems


def run(
    spec: Spec,
    *,
    run_id: str | None = None,
    engine: str | None = None,
    progress: bool = True,
    accept_changed_model: bool = False,
) -> "Result":
    """Runs a spec on this machine, or resumes it, until `_SUCCESS` is there; a finished run returns at once.

    `engine` is `local` or `ray`; None is `ray` inside a Ray job or where RAY_ADDRESS is set, else `local`.

    A run goes on with the model that it was planned with: another raises ModelChanged, unless `accept_changed_model`.
    Shows a bar on a terminal and in a notebook, unless `progress` is false. Writes to `<output.uri>/<run id>/`.
    Raises RunFailed where too many images failed (all rows are committed), PreflightError where nothing was started.
    """
    loaded = load_spec(spec)
    _check_run_id(run_id)
    try:
        from job.run import run as run_job
    except ModuleNotFoundError as error:
        raise UsageError(
            f"running needs the extra `job`, and {error.name} is not installed: pip install '.[job]' in Tench's folder"
        ) from error
    return run_job(loaded, run_id, engine, Console(stderr=True, quiet=not progress), accept_changed_model)


def open_run(uri: str | os.PathLike[str]) -> "StoredRun":
    """A run's folder, here or in a bucket, whether it has ended or not. Reads nothing of it yet.

    Raises StoreError where the URI or the credentials are wrong.
    """
    from tench.stored_run import StoredRun

    return StoredRun(os.fsdecode(uri))


def _check_run_id(run_id: object) -> None:
    """Before the manifest is written, which would be left without its plan."""
    if run_id is not None and not isinstance(run_id, str):
        raise UsageError(f"run_id is {run_id!r}; it must be text")
