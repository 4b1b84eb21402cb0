"""`tench run`: the job, in this process. The one command that needs the extra `job`."""

import json

from rich.console import Console

from job.terminal.console import print_lines
from tench import api


def run(spec_path: str, run_id: str | None, engine: str | None, accept_changed_model: bool, as_json: bool) -> None:
    """Prints the run's folder on stdout, or with `as_json` what `_SUCCESS` says."""
    result = api.run(spec_path, run_id=run_id, engine=engine, accept_changed_model=accept_changed_model)
    print_lines(Console(stderr=True), *result.summary())
    print(json.dumps({"uri": result.uri, **result.success.model_dump(mode="json")}) if as_json else result.uri)
