"""`tench list`: the runs of a namespace with their outcome."""

from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.measure import Measurement

from job.terminal.console import print_lines
from tench.launcher.cluster.kube import Kube
from tench.launcher.watch.cluster_run import Run, runs_of
from tench.launcher.watch.run_folder import RunFolder
from tench.launcher.watch.screen import list_table
from tench.launcher.watch.snapshot import brief
from tench.launcher.watch.status import Status

READERS = 8


def run(kube: Kube, as_json: bool) -> None:
    """Prints a table on stdout, or with `as_json` a list."""

    def look(found: Run) -> Status:
        return brief(found, RunFolder(found.paths), kube.namespace)

    with ThreadPoolExecutor(READERS) as readers:
        statuses = list(readers.map(look, runs_of(kube)))
    if as_json:
        print(f"[{', '.join(status.model_dump_json() for status in statuses)}]")
        return
    to_person = Console(stderr=True)
    if not statuses:
        print_lines(to_person, f"no runs in the namespace {kube.namespace}")
        return
    _print_whole(statuses)
    print_lines(to_person, *dict.fromkeys(note for status in statuses for note in status.notes))


def _print_whole(statuses: list[Status]) -> None:
    """A file or a pipe gets whole lines, however wide."""
    console, table = Console(), list_table(statuses)
    if not console.is_terminal:
        console.width = max(
            console.width, Measurement.get(console, console.options.update(width=10_000), table).maximum
        )
    console.print(table)
