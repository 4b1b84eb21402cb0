"""Commands of other programs: run with what they print shown, or taken."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from job.errors import PreflightError
from scripts.kind.settings import KUBECONFIG

NEEDED = {
    "docker": "https://docs.docker.com/engine/install",
    "kind": "https://kind.sigs.k8s.io",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "helm": "https://helm.sh/docs/intro/install",
}


def check_programs() -> None:
    """Raises PreflightError with what is not installed, or is and does not run."""
    missing = [f"{name} ({where})" for name, where in NEEDED.items() if not shutil.which(name)]
    if missing:
        raise PreflightError(f"not installed: {', '.join(missing)}")
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        raise PreflightError("Docker is installed and its engine does not answer: start it, or see `docker info`")


def run(*command: str, stdin: str | None = None) -> None:
    """Shows what it prints. Raises CalledProcessError."""
    subprocess.run(command, input=stdin, text=True, check=True, env=environment(), stdout=sys.stderr)


def output(*command: str) -> str:
    """What it prints. Raises CalledProcessError."""
    return subprocess.run(command, text=True, check=True, env=environment(), stdout=subprocess.PIPE).stdout.strip()


def succeeds(*command: str) -> bool:
    return subprocess.run(command, env=environment(), capture_output=True).returncode == 0


def environment() -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(KUBECONFIG)}


@contextmanager
def step(what: str) -> Iterator[None]:
    """Says what is done, and how long it took."""
    print(f"== {what}", file=sys.stderr, flush=True)
    started = time.monotonic()
    yield
    print(f"== {what}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
