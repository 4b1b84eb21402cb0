"""`tench run`: the job, in this process. The one command that needs the extra `job`."""

import json
import os
import sys

from rich.console import Console

from job.errors import UsageError
from job.spec.spec_file import load_spec


def run(spec_path: str, run_id: str | None, engine: str | None, as_json: bool) -> None:
    """Prints the run's folder on stdout, or with `as_json` what `_SUCCESS` says."""
    spec = load_spec(spec_path)
    sys.path.insert(0, os.getcwd())  # as `python -m` does, for models named module:factory
    console = Console(stderr=True)
    try:
        from job.run import run as run_job
    except ModuleNotFoundError as error:
        raise UsageError(
            f"running needs the extra `job`, and {error.name} is not installed: pip install 'tench[job]'"
        ) from error
    result = run_job(spec, run_id, engine, console)
    for line in result.summary():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    print(json.dumps({"uri": result.uri, **result.success.model_dump(mode="json")}) if as_json else result.uri)
