"""Watching a run until it ends: polls, survives a lost connection, and leaves the run alone when it goes."""

import time

from rich.console import Console

from job.errors import Interrupted, StillRunning
from tench.launcher.cluster.kube import Kube, Unreachable
from tench.launcher.watch.cluster_run import Run, look_again
from tench.launcher.watch.run_folder import RunFolder
from tench.launcher.watch.screen import Screen
from tench.launcher.watch.snapshot import Snapshots
from tench.launcher.watch.status import Phase, Status

POLL_S = 3.0


def watch(kube: Kube, run: Run, timeout_s: float | None, console: Console) -> Status:
    """Shows a run until it has ended; its last status. Raises StillRunning, Interrupted; a failed run is no error."""
    try:
        return _watch(kube, run, timeout_s, console)
    except KeyboardInterrupt:
        raise Interrupted(f"detached; the run goes on\n{ways_on(kube, run)}") from None


def ways_on(kube: Kube, run: Run) -> str:
    where = f"-n {kube.namespace}" + (f" --context {kube.context}" if kube.context else "")
    return f"  come back:  tench watch {run.run_id} {where}\n  cancel it:  tench cancel {run.run_id} {where}"


def _watch(kube: Kube, run: Run, timeout_s: float | None, console: Console) -> Status:
    snapshots, folder = Snapshots(kube), RunFolder(run.paths)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    status: Status | None = None
    with Screen(console) as screen:
        while True:
            status = _next(snapshots, run, folder, status)
            screen.show(status)
            if status.phase.ended:
                return status
            if deadline is not None and time.monotonic() >= deadline:
                raise StillRunning(
                    f"waited {timeout_s:.0f} s; the run is {status.phase} and goes on\n{ways_on(kube, run)}"
                )
            time.sleep(POLL_S)


def _next(snapshots: Snapshots, run: Run, folder: RunFolder, before: Status | None) -> Status:
    """The first answer must come; later ones may be missed."""
    try:
        current = look_again(snapshots.kube, run)
        if current is None and before is None:
            current = run
        if current is None:
            return _gone(before, folder)
        return snapshots.full(current, folder)
    except Unreachable as error:
        if before is None:
            raise
        return before.model_copy(update={"notes": [f"the connection is lost, trying again: {error}"]})


def _gone(before: Status | None, folder: RunFolder) -> Status:
    """After a cancel or an uninstall."""
    assert before
    phase = Phase.SUCCEEDED if folder.success() else Phase.UNFINISHED
    words = "" if phase is Phase.SUCCEEDED else "its RayJob was deleted; what is committed stays"
    return before.model_copy(update={"phase": phase, "pods": {}, "reasons": [], "message": words})
