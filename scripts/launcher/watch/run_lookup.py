"""Looking a run up by the word of a call: the run's folder, or one of the names that the cluster has for it.

`tench status`, `logs`, `collect` and `verify` take either; `watch` and `cancel` take names alone, by `find_run`.
"""

import os
import sys
from dataclasses import dataclass

from job.errors import PreflightError, UsageError
from job.plan.paths import RunPaths
from tench.launcher.cluster.kube import Kube
from tench.launcher.cluster.target import Target
from tench.launcher.watch.cluster_run import Run, find_run


@dataclass(frozen=True)
class FoundRun:
    """A run, the URI or path of its folder, and the cluster that knows it: None for a folder alone."""

    run: Run
    folder_uri: str
    kube: Kube | None


def look_up(target: Target, word: str) -> FoundRun:
    """The run that `word` means: with a slash in it a folder, without one a name, which the cluster is asked for.

    Where no cluster is configured, or the one that is knows no such run, a run's folder of that name in the working
    folder is taken, and stderr says so. Raises UsageError, PreflightError.
    """
    if _is_folder(word):
        return _of_folder(word)
    kube = None
    try:
        kube = target.kube()
        run = find_run(kube, word)
    except (PreflightError, UsageError) as error:
        # A cluster that does not answer may know the run; a context that is named and not there is a wrong call.
        is_unknown = isinstance(error, UsageError) or (kube is None and target.context is None)
        if not (is_unknown and os.path.isfile(os.path.join(word, RunPaths.plan))):
            raise type(error)(f"{error}\n  A run's folder is named with a slash: ./{word}") from error
        print(f"no cluster knows {word}; taking the folder ./{word}", file=sys.stderr)
        return _of_folder(f"./{word}")
    return FoundRun(run, run.paths.uri, kube)


def check_is_name(word: str) -> None:
    """Raises UsageError for a folder, where the cluster's run is wanted."""
    if _is_folder(word):
        raise UsageError(f"{word} is a folder, and a run's name on a cluster is wanted here; see tench status {word}")


def _is_folder(word: str) -> bool:
    """By its spelling, not by what is on the disk: there a collected run has the run's own name."""
    return "/" in word or word in (".", "..", "~")


def _of_folder(word: str) -> FoundRun:
    uri = word if word.endswith("://") else word.rstrip("/") or "/"
    if "/" not in uri:  # `.`, `~`, and what had a slash at its end alone
        uri = os.path.abspath(os.path.expanduser(uri))
    return FoundRun(Run({}, RunPaths.of(uri)), uri, None)
