"""Commands of other programs: run with what they print shown, or taken."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager, suppress
from threading import Event

from job.errors import Interrupted, PreflightError
from scripts.kind.settings import KUBECONFIG

NEEDED = {
    "docker": "https://docs.docker.com/engine/install",
    "kind": "https://kind.sigs.k8s.io",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "helm": "https://helm.sh/docs/intro/install",
}


_stopping = Event()


def check_programs() -> None:
    """Raises PreflightError with what is not installed, or is and does not run."""
    missing = [f"{name} ({where})" for name, where in NEEDED.items() if not shutil.which(name)]
    if missing:
        raise PreflightError(f"not installed: {', '.join(missing)}")
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        raise PreflightError("Docker is installed and its engine does not answer: start it, or see `docker info`")


def run(*command: str, stdin: str | None = None) -> None:
    """Shows what it prints. Raises CalledProcessError."""
    check_going_on()
    subprocess.run(command, input=stdin, text=True, check=True, env=environment(), stdout=sys.stderr)


def output(*command: str) -> str:
    """What it prints. Raises CalledProcessError."""
    check_going_on()
    return subprocess.run(command, text=True, check=True, env=environment(), stdout=subprocess.PIPE).stdout.strip()


def succeeds(*command: str) -> bool:
    check_going_on()
    return subprocess.run(command, env=environment(), capture_output=True).returncode == 0


def environment() -> dict[str, str]:
    # Without BuildKit's attestations, which differ from build to build, the same image has the same id.
    return {**os.environ, "KUBECONFIG": str(KUBECONFIG), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def side_by_side(*calls: Callable[[], None]) -> None:
    """Returns when all have ended. Raises what the first that failed raised; the rest is stopped, as at Ctrl-C."""
    with ThreadPoolExecutor(len(calls)) as threads:
        futures = [threads.submit(call) for call in calls]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            _stopping.set()
            with suppress(FileNotFoundError):  # without it, leaving the pool waits for an image of gigabytes
                subprocess.run(["pkill", "-TERM", "-P", str(os.getpid())])
            raise
        finally:
            wait(futures)
            _stopping.clear()


def check_going_on() -> None:
    """Raises Interrupted in the threads of `side_by_side` that are to stop."""
    if _stopping.is_set():
        raise Interrupted("interrupted")


@contextmanager
def step(what: str) -> Iterator[None]:
    """Says what is done, and how long it took."""
    print(f"== {what}", file=sys.stderr, flush=True)
    started = time.monotonic()
    yield
    print(f"== {what}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
