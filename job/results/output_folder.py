"""The folder that a run writes to, looked at before anything is started: a run begins here, and so does its preview.

Leaves nothing. That a bucket takes writes is known only when the first comes.
"""

import os

from job.errors import OutputError, StoreError
from job.plan.earlier_runs import find_run
from job.plan.parts import load_frozen
from job.plan.paths import RunPaths
from job.plan.records import Plan
from job.spec.spec import JobSpec
from job.stores.local_folder import LocalFolder
from job.stores.storage import Folder, open_folder


def open_output(spec: JobSpec, run_id: str | None) -> tuple[RunPaths, Folder, Plan | None]:
    """Where the spec's run is or goes, and the plan where one is there, perhaps one that is still open.

    Raises OutputError where it cannot be read, RunFailed where it is not Tench's; UsageError for a wrong run id.
    """
    try:
        paths = find_run(spec, run_id)
        folder = open_folder(paths.uri)
        return paths, folder, load_frozen(folder, paths)
    except StoreError as error:
        raise OutputError(f"output.uri: {error}") from error


def check_output(folder: Folder) -> None:
    """Raises OutputError where the bucket is not there, a file is in the way, or this user may not write."""
    try:
        if folder.is_remote:
            next(iter(folder.list("manifest/")), None)
        else:
            _check_path(folder.uri)
    except StoreError as error:
        raise OutputError(f"output.uri: {error}") from error


def _check_path(path: str) -> None:
    """Of the folders that a path names, the last one that is there decides."""
    there = path
    while not os.path.lexists(there) and there != os.path.dirname(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        kind = "a link to nothing" if os.path.islink(there) else "a file"
        raise OutputError(f"output.uri: {path} cannot be made: {there} is {kind}; name another folder")
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        raise OutputError(f"output.uri: {path} cannot be written: {there} is on a read-only file system")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"output.uri: {path} cannot be written: this user may not write to {there}")
    LocalFolder(there).check_creates()
