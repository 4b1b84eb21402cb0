"""`python -m job SPEC [RUN_ID]`: what the cluster runs. The same run, and the same exit codes, as `tench run`."""

import sys

from job.console import end_with, log_to_stderr
from job.errors import UsageError
from job.specfile import load_spec


def main(arguments: list[str]) -> None:
    console = log_to_stderr(verbose=False)
    if not 1 <= len(arguments) <= 2:
        raise UsageError(f"python -m job takes SPEC and perhaps RUN_ID (got {arguments!r})")
    from job.run import run

    result = run(load_spec(arguments[0]), arguments[1] if len(arguments) == 2 else None, None, console)
    print(result.paths.uri)


if __name__ == "__main__":
    end_with(lambda: main(sys.argv[1:]), verbose=False)
