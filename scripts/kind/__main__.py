"""`make kind-test`: from nothing to a verdict on a real cluster.

    python -m scripts.kind [PYTEST ARGUMENTS]

`KEEP=1` leaves the cluster for the next call, which loads only what changed. What failed leaves its traces in
`build/kind/failures`.
"""

import os
import signal
import subprocess
import sys

from job.console import end_with, log_to_stderr
from job.errors import RunFailed
from scripts.kind.cluster import down, up
from scripts.kind.commands import check_programs, environment, step
from scripts.kind.settings import CLUSTER, FAILURES

# Two at a time: one starts while the other computes.
PYTEST = (
    "--override-ini=addopts=",
    "--import-mode=importlib",
    "-v",
    "--numprocesses=2",
    "--dist=loadfile",
    "--durations=0",
)


def main(arguments: list[str]) -> None:
    check_programs()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        up()
        with step("the tests"):
            test(arguments)
    except subprocess.CalledProcessError as error:
        raise RunFailed(f"{' '.join(error.cmd)} ended with {error.returncode}; what it said is above") from error
    finally:
        if os.environ.get("KEEP"):
            print("the cluster stays; remove it with: kind delete cluster --name " + CLUSTER, file=sys.stderr)
        else:
            down()


def test(arguments: list[str]) -> None:
    """Raises RunFailed. A test that failed has told what its namespace knows, and left it in a folder."""
    command = [sys.executable, "-m", "pytest", *PYTEST, "-m", "e2e", *(arguments or ["tests/e2e"])]
    if subprocess.run(command, env=environment()).returncode:
        raise RunFailed(f"the kind test failed; events, logs and the RayJobs' status are in {FAILURES}")


if __name__ == "__main__":
    log_to_stderr(verbose=False)
    end_with(lambda: main(sys.argv[1:]), verbose=False)
