"""The `tench` command: reads the call and hands it to a command's module.

A command's module is imported when it is called, so that `tench --help` loads nothing heavy.
"""

import logging
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated

import typer

from job.console import end_with, log_to_stderr

app = typer.Typer(
    name="tench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EXIT_CODES = (
    "Exit codes: 0 done; 1 the run failed; 2 the spec or the call is wrong; 3 preflight failed, nothing started; "
    "130 Ctrl-C."
)


class OutputFormat(StrEnum):
    """What standard output gets."""

    TEXT = "text"
    JSON = "json"


class EngineName(StrEnum):
    """How the stages run."""

    LOCAL = "local"
    RAY = "ray"


SpecPath = Annotated[str, typer.Argument(metavar="SPEC", help="The spec, YAML or JSON; `-` reads standard input.")]
RunId = Annotated[
    str | None,
    typer.Option("--run-id", help="Name the run; by default the name and a hash of what determines the result."),
]
Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="What standard output gets.")]
Engine = Annotated[
    EngineName | None,
    typer.Option(
        "--engine",
        help="Threads in this process, or Ray. Default: ray inside a Ray job or with RAY_ADDRESS, else local.",
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show debug messages, and the traceback of an error.")]


@app.callback(epilog=EXIT_CODES)
def options(verbose: Verbose = False) -> None:
    """Batch image inference: one YAML file in, every image out exactly once."""
    log_to_stderr(verbose)


@app.command()
def run(spec: SpecPath, run_id: RunId = None, engine: Engine = None, output: Output = OutputFormat.TEXT) -> None:
    """Run a spec on this machine, or resume it; print the run's folder."""
    from scripts.launcher import cmd_run

    _finish(lambda: cmd_run.run(spec, run_id, engine, as_json=output is OutputFormat.JSON))


@app.command()
def plan(spec: SpecPath, run_id: RunId = None, output: Output = OutputFormat.TEXT) -> None:
    """Say what a run would do, and what it would skip; start and write nothing."""
    from scripts.launcher import cmd_plan

    _finish(lambda: cmd_plan.run(spec, run_id, as_json=output is OutputFormat.JSON))


@app.command()
def verify(
    uri: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder.")], output: Output = OutputFormat.TEXT
) -> None:
    """Check a finished run against its plan: every file, every row."""
    from scripts.launcher import cmd_verify

    _finish(lambda: cmd_verify.run(uri, as_json=output is OutputFormat.JSON))


def _finish(command: Callable[[], None]) -> None:
    end_with(command, verbose=logging.getLogger("job").isEnabledFor(logging.DEBUG))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a call; the process ends with its exit code."""
    typer.main.get_command(app).main(arguments, prog_name="tench")
