"""`make kind-test`: from nothing to a verdict on a real cluster.

    python -m scripts.kind [PYTEST ARGUMENTS]

`KEEP=1` leaves the cluster for the next call, which loads only what changed. What failed leaves its traces in
`build/kind/failures`.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress

from job.errors import Interrupted, RunFailed
from job.terminal.console import end_with, log_to_stderr
from scripts.kind.cluster import NAMESPACES, down, exists, remove_namespaces, up
from scripts.kind.commands import check_programs, environment, step
from scripts.kind.diagnosis import diagnose
from scripts.kind.settings import CLUSTER, FAILURES

# Two at a time: one starts while the other computes.
PYTEST = (
    "--override-ini=addopts=",
    "--import-mode=importlib",
    "-v",
    "--numprocesses=2",
    "--dist=loadfile",
    "--no-loadscope-reorder",
    "--timeout=900",
    "--durations=15",
    "--durations-min=1",
)
STOPPING_S = 20.0


def main(arguments: list[str]) -> None:
    check_programs()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(ending, signal.default_int_handler)
    try:
        build_up()
        with step("the tests"):
            test(arguments)
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    finally:
        hear_no_more()
        clean_up()


def build_up() -> None:
    """Raises RunFailed, after the cluster's own namespaces have told what they know."""
    try:
        up()
    except (subprocess.CalledProcessError, RunFailed) as error:
        for namespace in NAMESPACES if exists() else ():
            diagnose(namespace, FAILURES / namespace)
        if isinstance(error, RunFailed):
            raise
        raise RunFailed(f"{' '.join(error.cmd)} ended with {error.returncode}; what it said is above") from error


def test(arguments: list[str]) -> None:
    """Raises RunFailed. A test that failed has told what its namespace knows, and left it in a folder."""
    command = [sys.executable, "-m", "pytest", *PYTEST, "-m", "e2e", *(arguments or ["tests/e2e"])]
    # In a group of its own, for a terminal's Ctrl-C would come to it twice.
    with subprocess.Popen(command, env=environment(), start_new_session=True) as pytest:
        try:
            failed = pytest.wait()
        except KeyboardInterrupt:
            hear_no_more()
            stop(pytest)
            raise
    if failed:
        raise RunFailed(f"the kind test failed; events, logs and the RayJobs' status are in {FAILURES}")


def stop(pytest: "subprocess.Popen[bytes]") -> None:
    """With its workers, which would go on in what is being removed."""
    with suppress(ProcessLookupError):
        os.killpg(pytest.pid, signal.SIGINT)
        try:
            pytest.wait(STOPPING_S)
        except subprocess.TimeoutExpired:
            os.killpg(pytest.pid, signal.SIGKILL)


def hear_no_more() -> None:
    """Whoever asks twice still gets everything removed."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_IGN)


def clean_up() -> None:
    """Removes what is left of the tests, and the cluster unless it is to stay. Changes nothing in the verdict."""
    try:
        if not os.environ.get("KEEP"):
            down()
        elif exists():
            remove_namespaces()
            print(f"the cluster stays; remove it with: kind delete cluster --name {CLUSTER}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"not removed: {error}", file=sys.stderr)


if __name__ == "__main__":
    log_to_stderr(verbose=False)
    end_with(lambda: main(sys.argv[1:]), verbose=False)
