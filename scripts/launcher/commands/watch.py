"""`tench watch`: a run until it ends, and with its exit code."""

from rich.console import Console

from job.errors import RunFailed
from tench.launcher.cluster.kube import Kube
from tench.launcher.cluster.target import Target
from tench.launcher.watch.cluster_run import find_run
from tench.launcher.watch.run_lookup import check_is_name
from tench.launcher.watch.status import Phase, Status
from tench.launcher.watch.watcher import watch

ENDED = {Phase.FAILED: "failed", Phase.STOPPED: "was stopped"}


def run(target: Target, word: str, timeout_s: float | None) -> None:
    """Prints the run's folder on stdout. Raises as `to_end` does, and UsageError for a folder."""
    check_is_name(word)
    print(to_end(target.kube(), word, timeout_s).folder)


def to_end(kube: Kube, word: str, timeout_s: float | None = None) -> Status:
    """Shows a run until it has ended, on stderr. Raises RunFailed, StillRunning and Interrupted."""
    status = watch(kube, find_run(kube, word), timeout_s, Console(stderr=True))
    if status.exit_code:
        words = [status.message, *(reason.text for reason in status.reasons)]
        said = ": ".join(word for word in words if word)
        raise RunFailed(f"run {status.run_id} {ENDED.get(status.phase, 'is unfinished')}{': ' + said if said else ''}")
    return status
