"""`tench logs`: the driver's log and the pods' by name, followed; from the run's folder once the pods are gone."""

import sys
import threading
from collections.abc import Iterable, Sequence
from functools import partial

from rich.console import Console

from job.errors import Interrupted, UsageError
from job.plan.paths import LOGS
from job.results.run_listing import check_is_run
from job.stores.storage import open_folder
from job.terminal.console import print_lines
from job.terminal.spelling import did_you_mean
from tench.launcher.cluster.kube import Kube
from tench.launcher.cluster.roles import container_of, role_of
from tench.launcher.cluster.target import Target
from tench.launcher.watch.cluster_run import Run
from tench.launcher.watch.live_log import DriverLogReader
from tench.launcher.watch.pod_states import Pod
from tench.launcher.watch.run_folder import IMPATIENT
from tench.launcher.watch.run_lookup import FoundRun, look_up
from tench.launcher.watch.snapshot import Snapshots


def run(
    target: Target, word: str, pods: Sequence[str], all_workers: bool, follow: bool, tail_lines: int | None
) -> None:
    """Prints the log on stdout. Raises UsageError where there is none. `word` is a run's folder or a name."""
    try:
        found = look_up(target, word)
        if found.kube is None:
            _check_folder(found, asks_for_pods=bool(pods) or all_workers)
            _print_driver(None, found.run, False, tail_lines)
        elif pods or all_workers:
            _print_pods(found.kube, _chosen(found.kube, found.run, pods), follow, tail_lines)
        else:
            _print_driver(found.kube, found.run, follow, tail_lines)
    except KeyboardInterrupt:
        raise Interrupted("stopped following; the run goes on") from None


def _check_folder(found: FoundRun, asks_for_pods: bool) -> None:
    """Raises NoSuchRun for a folder that is no run's, UsageError where it is asked for what only a cluster has."""
    folder = open_folder(found.folder_uri, IMPATIENT)
    check_is_run(folder)
    uri = found.folder_uri
    if asks_for_pods:
        raise UsageError(f"{uri} is a folder, and workers' logs are the cluster's; name the run: {found.run.run_id}")
    if not any(table.num_rows for table in folder.list(LOGS)):
        raise UsageError(
            f"{uri} has no driver log: a cluster's driver keeps one there, a run on this machine prints to its "
            f"terminal; how far it is: tench status {uri}"
        )


def _print_driver(kube: Kube | None, found: Run, follow: bool, tail_lines: int | None) -> None:
    console = Console(stderr=True)
    log = DriverLogReader(kube, found, partial(print_lines, console))
    if not follow or tail_lines is not None:
        lines = b"".join(log.once()).splitlines(keepends=True)
        _write(lines if tail_lines is None else lines[len(lines) - min(tail_lines, len(lines)) :])
    if follow:
        _write(log.follow())


def _write(chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def _chosen(kube: Kube, found: Run, names: Sequence[str]) -> list[Pod]:
    """Those of the names, else every worker. Raises UsageError."""
    pods = Snapshots(kube).pods(found)
    by_name = {pod["metadata"]["name"]: pod for pod in pods}
    for name in names:
        if name not in by_name:
            there = ", ".join(by_name) or "none any more"
            raise UsageError(f"{found.run_id} has no pod {name!r}{did_you_mean(name, by_name)}; it has: {there}")
    chosen = [by_name[name] for name in names] or [pod for pod in pods if role_of(pod) in ("worker", "decoder")]
    if not chosen:
        raise UsageError(f"{found.run_id} has no workers now; the driver's log is kept: tench logs {found.run_id}")
    return chosen


def _print_pods(kube: Kube, pods: Sequence[Pod], follow: bool, tail_lines: int | None) -> None:
    """Each line after its pod's name where there are several."""
    lock, width = threading.Lock(), max(len(pod["metadata"]["name"]) for pod in pods)

    def copy(pod: Pod) -> None:
        name = pod["metadata"]["name"]
        for line in kube.pod_log(name, container_of(role_of(pod)), tail_lines, follow):
            with lock:
                print(f"{name:{width}} {line}" if len(pods) > 1 else line, flush=True)

    if len(pods) == 1 or not follow:
        for pod in pods:
            copy(pod)
        return
    threads = [threading.Thread(target=copy, args=(pod,), daemon=True) for pod in pods]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(1.0)  # in turns, so that Ctrl-C is heard
