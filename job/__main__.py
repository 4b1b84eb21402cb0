"""`python -m job SPEC [RUN_ID] [--accept-changed-model]`: what the cluster runs.

The same run, and the same exit codes, as `tench run`.
"""

import os
import sys

# `python -m` puts the working folder first, where a file named as one of Python's modules or ours would stand for it.
if sys.path[0] in ("", os.getcwd()):
    del sys.path[0]
    if os.path.dirname(os.path.dirname(os.path.abspath(__file__))) == os.getcwd():  # it is where Tench itself lies
        sys.path.append(os.getcwd())

from job.errors import UsageError
from job.spec.spec_file import load_spec
from job.terminal.console import end_with, log_to_stderr, print_lines

ACCEPT = "--accept-changed-model"


def main(arguments: list[str]) -> None:
    console = log_to_stderr(verbose=False)
    names = [argument for argument in arguments if argument != ACCEPT]
    if not 1 <= len(names) <= 2:
        raise UsageError(f"python -m job takes SPEC and perhaps RUN_ID and {ACCEPT} (got {arguments!r})")
    from job.results.driver_log import keep_log
    from job.results.output_folder import open_output
    from job.run import run

    spec, run_id = load_spec(names[0]), names[1] if len(names) == 2 else None
    paths, _, _ = open_output(spec, run_id)
    keep_log(paths)
    result = run(spec, run_id, None, console, accept_changed_model=ACCEPT in arguments)
    print_lines(console, *result.summary())
    print(result.uri)


if __name__ == "__main__":
    end_with(lambda: main(sys.argv[1:]), verbose=False)
