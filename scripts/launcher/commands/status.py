"""`tench status`: one look at a run, also at one that the cluster knows nothing of any more."""

from rich.console import Console

from job.results.run_listing import check_is_run
from job.stores.storage import open_folder
from tench.launcher.cluster.target import Target
from tench.launcher.watch.run_folder import IMPATIENT, RunFolder
from tench.launcher.watch.run_lookup import look_up
from tench.launcher.watch.screen import picture
from tench.launcher.watch.snapshot import Snapshots, brief
from tench.launcher.watch.status import Status


def run(target: Target, word: str, as_json: bool) -> None:
    """Prints the status on stdout. `word` is a run's folder or one of its names.

    Raises NoSuchRun for a folder that is no run's, StoreError for one that cannot be read.
    """
    status = _look(target, word)
    if as_json:
        print(status.model_dump_json(indent=1))
    else:
        Console().print(picture(status))


def _look(target: Target, word: str) -> Status:
    found = look_up(target, word)
    folder = RunFolder(found.run.paths)
    if found.kube is None:
        check_is_run(open_folder(found.folder_uri, IMPATIENT))
    return brief(found.run, folder) if found.kube is None else Snapshots(found.kube).full(found.run, folder)
