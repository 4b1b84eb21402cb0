"""`tench cancel`: stops a run and keeps what is committed."""

import sys

from rich.console import Console

from tench.launcher.cluster.target import Target
from tench.launcher.submit.removal import PATIENCE_S, remove, wait_until_gone
from tench.launcher.watch.cluster_run import Run, find_run
from tench.launcher.watch.phase import phase_of
from tench.launcher.watch.run_lookup import check_is_name


def run(name: str, target: Target) -> None:
    """Prints the run id on stdout, once its RayJob and pods are gone. Raises UsageError where there is no such run."""
    check_is_name(name)
    kube = target.kube()
    found = find_run(kube, name)
    phase = phase_of(found)
    if phase.ended:
        print(f"{found.run_id} has {phase} already, there is nothing to stop", file=sys.stderr)
    else:
        remove(kube, target.helm(kube), found)
        with Console(stderr=True).status(f"stopping {found.run_id}"):
            gone = wait_until_gone(kube, found)
        _say(found, gone)
    print(found.run_id)


def _say(found: Run, gone: bool) -> None:
    if not gone:
        print(f"its pods take longer to go than {PATIENCE_S:.0f} s; they go without waiting for it", file=sys.stderr)
    print(f"{found.run_id} is cancelled; what is committed stays in {found.paths.uri}", file=sys.stderr)
    print("submit the same spec again to resume it: tench submit SPEC", file=sys.stderr)
