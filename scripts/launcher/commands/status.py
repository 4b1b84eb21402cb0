"""`tench status`: one look at a run, also at one that the cluster knows nothing of any more."""

from rich.console import Console

from tench.launcher.cluster.target import Target
from tench.launcher.watch.cluster_run import find_run, is_folder, run_of_folder
from tench.launcher.watch.run_folder import RunFolder
from tench.launcher.watch.screen import picture
from tench.launcher.watch.snapshot import Snapshots, brief
from tench.launcher.watch.status import Status


def run(target: Target, word: str, as_json: bool) -> None:
    """Prints the status on stdout. `word` may be a run's folder: no cluster is asked then."""
    status = _look(target, word)
    if as_json:
        print(status.model_dump_json(indent=1))
    else:
        Console().print(picture(status))


def _look(target: Target, word: str) -> Status:
    if is_folder(word):
        alone = run_of_folder(word)
        return brief(alone, RunFolder(alone.paths))
    kube = target.kube()
    found = find_run(kube, word)
    return Snapshots(kube).full(found, RunFolder(found.paths))
