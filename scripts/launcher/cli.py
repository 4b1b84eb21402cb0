"""The `tench` command: reads the call and hands it to a command's module.

A command's module is imported when it is called, so that `tench --help` loads nothing heavy.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperCommand

from job.terminal.console import end_with, log_to_stderr
from tench.launcher import options as given
from tench.launcher.options import OutputFormat

if TYPE_CHECKING:
    from tench.launcher.cluster.target import Target

app = typer.Typer(
    name="tench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EXIT_CODES = (
    "Exit codes: 0 done; 1 the run failed; 2 the spec or the call is wrong; 3 preflight failed, nothing started; "
    "4 waiting ended, the run goes on; 130 Ctrl-C."
)


@app.callback(epilog=EXIT_CODES)
def options(verbose: given.Verbose = False) -> None:
    """Batch image inference: one YAML file in, every image out exactly once."""
    log_to_stderr(verbose)
    logging.getLogger("tench").setLevel(logging.getLogger("job").level)


@app.command(epilog="Example: tench run job.yaml --engine local")
def run(
    spec: given.SpecPath,
    run_id: given.RunId = None,
    engine: given.Engine = None,
    accept_changed_model: given.AcceptChangedModel = False,
    output: given.Output = OutputFormat.TEXT,
) -> None:
    """Run a spec on this machine, or resume it; print the run's folder."""
    from tench.launcher.commands import run as command

    _finish(lambda: command.run(spec, run_id, engine, accept_changed_model, as_json=output is OutputFormat.JSON))


@app.command(epilog="Example: tench plan job.yaml -f cluster.yaml --images-per-second 900")
def plan(
    spec: given.SpecPath,
    run_id: given.RunId = None,
    context: given.Context = None,
    namespace: given.Namespace = None,
    files: given.Files = None,
    sets: given.Sets = None,
    chart: given.Chart = None,
    images_per_second: given.ImagesPerSecond = None,
    force: given.Force = False,
    output: given.Output = OutputFormat.TEXT,
) -> None:
    """Say what a run would do, what it would skip, and what it would be refused for; start nothing.

    With values, a profile or a context it says what the cluster says, else what `tench run` would say here. To see
    whether a bucket can be written it writes one small object and removes it. What would make the run hang or fail is
    exit code 3.
    """
    from tench.launcher.cluster.profile import has_profile
    from tench.launcher.commands import plan as command

    as_json = output is OutputFormat.JSON
    target = _target(context, namespace, files, sets, chart)
    if target.is_given or has_profile():
        _finish(lambda: command.run_for_cluster(spec, run_id, as_json, target, images_per_second, force))
    _finish(lambda: command.run(spec, run_id, as_json, force))


@app.command(epilog="Example: tench submit job.yaml -f cluster.yaml --watch")
def submit(
    spec: given.SpecPath,
    run_id: given.RunId = None,
    context: given.Context = None,
    namespace: given.Namespace = None,
    files: given.Files = None,
    sets: given.Sets = None,
    chart: given.Chart = None,
    images_per_second: given.ImagesPerSecond = None,
    yes: given.Yes = False,
    force: given.Force = False,
    dry_run: given.DryRun = False,
    upgrade: given.Upgrade = False,
    watch: given.Watch = False,
    output: given.Output = OutputFormat.TEXT,
) -> None:
    """Run a spec on a cluster, or resume it.

    Plans, asks, calls helm install, and prints the run id. The same call again finds the run that is there, and with
    --watch watches it.
    """
    from tench.launcher.commands import submit as command

    submit_options = command.SubmitOptions(
        images_per_second, yes, force, dry_run, upgrade, watch, output is OutputFormat.JSON
    )
    target = _target(context, namespace, files, sets, chart)
    _finish(lambda: command.run(spec, run_id, target, submit_options))


@app.command(epilog="Example: tench watch imagenette-3f2a9c1e --timeout 3600")
def watch(
    run: given.RunName,
    context: given.Context = None,
    namespace: given.Namespace = None,
    timeout_s: given.Timeout = None,
) -> None:
    """Show a run until it ends, and why it does not move; end with its exit code.

    Ctrl-C leaves it running. Exit codes: 0 it succeeded; 1 it failed, or was stopped; 4 the time is over, it goes on.
    """
    from tench.launcher.commands import watch as command

    _finish(lambda: command.run(_target(context, namespace), run, timeout_s))


@app.command(epilog="Example: tench status imagenette-3f2a9c1e -o json")
def status(
    run: given.RunOrFolder,
    context: given.Context = None,
    namespace: given.Namespace = None,
    output: given.Output = OutputFormat.TEXT,
) -> None:
    """Say where a run is, how far, and why it does not move."""
    from tench.launcher.commands import status as command

    _finish(lambda: command.run(_target(context, namespace), run, as_json=output is OutputFormat.JSON))


@app.command("list", epilog="Example: tench list -n vision")
def list_runs(
    context: given.Context = None, namespace: given.Namespace = None, output: given.Output = OutputFormat.TEXT
) -> None:
    """List a namespace's runs with their outcome, also those whose cluster is gone."""
    from tench.launcher.commands import list as command

    _finish(lambda: command.run(_target(context, namespace).kube(), as_json=output is OutputFormat.JSON))


@app.command(epilog="Example: tench logs imagenette-3f2a9c1e -f")
def logs(
    run: given.RunOrFolder,
    context: given.Context = None,
    namespace: given.Namespace = None,
    pods: given.Pods = None,
    workers: given.Workers = False,
    follow: given.Follow = False,
    tail: given.Tail = None,
) -> None:
    """Print the driver's log, or pods'; the driver's is kept in the run's folder when its pod is gone."""
    from tench.launcher.commands import logs as command

    _finish(lambda: command.run(_target(context, namespace), run, pods or [], workers, follow, tail))


@app.command(epilog="Example: tench cancel imagenette-3f2a9c1e")
def cancel(run: given.RunName, context: given.Context = None, namespace: given.Namespace = None) -> None:
    """Stop a run and keep what is committed.

    Prints the run id, once its pods are gone. Submitting the spec again resumes the run.
    """
    from tench.launcher.commands import cancel as command

    _finish(lambda: command.run(run, _target(context, namespace)))


@app.command(epilog="Example: tench render job.yaml -f cluster.yaml -n vision --to manifests/")
def render(
    spec: given.SpecPath,
    run_id: given.RunId = None,
    namespace: given.Namespace = None,
    files: given.Files = None,
    sets: given.Sets = None,
    chart: given.Chart = None,
    to: given.ManifestTo = None,
) -> None:
    """Write a run's manifests for Git: the plain objects.

    Prints them, or with --to the path of the file. No cluster is asked.
    """
    from tench.launcher.commands import render as command

    _finish(lambda: command.run(spec, run_id, _target(None, namespace, files, sets, chart), to))


@app.command(epilog="Example: tench gc --older-than 30d --data s3://results/runs --dry-run")
def gc(
    context: given.Context = None,
    namespace: given.Namespace = None,
    older_than: given.OlderThan = "7d",
    data: given.Data = None,
    yes: given.Yes = False,
    dry_run: given.DryGc = False,
    output: given.Output = OutputFormat.TEXT,
) -> None:
    """Remove RayJobs of long ago, and abandoned folders.

    Shows them first. A folder (--data) is abandoned that has a plan, no _SUCCESS and no RayJob, and that no driver
    touched for so long.
    """
    from tench.launcher.commands import gc as command

    as_json = output is OutputFormat.JSON
    _finish(lambda: command.run(_target(context, namespace), older_than, data, yes, dry_run, as_json))


class _MergeOfOne(TyperCommand):
    """Reads `--merge` without a number as `--merge 1`, which typer has no way to say."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        filled = []
        for arg, following in zip(args, [*args, ""][1:], strict=True):
            filled += [arg, "1"] if arg == "--merge" and not following.isdigit() else [arg]
        return super().parse_args(ctx, filled)


@app.command(cls=_MergeOfOne, epilog="Example: tench collect s3://results/runs/imagenette-3f2a9c1e --to results/")
def collect(
    run: given.RunOrFolder,
    to: given.To = None,
    merge: given.Merge = None,
    file_format: given.Format = given.FileFormat.PARQUET,
    where: given.Where = None,
    partial: given.Partial = False,
    context: given.Context = None,
    namespace: given.Namespace = None,
    output: given.Output = OutputFormat.TEXT,
) -> None:
    """Bring a run's predictions here, checked; the same call resumes; print the folder."""
    from tench.launcher.collect.form import Form
    from tench.launcher.commands import collect as command

    form = Form(file_format, merge, where)
    target = _target(context, namespace)
    _finish(lambda: command.run(target, run, to, form, partial, as_json=output is OutputFormat.JSON))


@app.command(epilog="Example: tench verify s3://results/runs/imagenette-3f2a9c1e")
def verify(
    run: given.RunOrFolder,
    context: given.Context = None,
    namespace: given.Namespace = None,
    output: given.Output = OutputFormat.TEXT,
) -> None:
    """Check a finished run against its plan, without downloading it: every file, every row."""
    from tench.launcher.commands import verify as command

    _finish(lambda: command.run(_target(context, namespace), run, as_json=output is OutputFormat.JSON))


def _target(
    context: str | None,
    namespace: str | None,
    files: list[str] | None = None,
    sets: list[str] | None = None,
    chart: str | None = None,
) -> "Target":
    from tench.launcher.cluster.target import Target

    return Target(context, namespace, tuple(files or ()), tuple(sets or ()), chart)


def _finish(command: Callable[[], None]) -> NoReturn:
    end_with(command, verbose=logging.getLogger("job").isEnabledFor(logging.DEBUG))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a call; the process ends with its exit code."""
    typer.main.get_command(app).main(arguments, prog_name="tench")
