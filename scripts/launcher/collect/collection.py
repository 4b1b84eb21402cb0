"""A collection: a run's predictions checked, downloaded, and left in the form that is wanted.

`collect` takes a run's folder and says what is here afterwards; the command prints it. The shards are held against
`_SUCCESS` by one listing before the first byte is read, and against that by another one after the last.
"""

import os
import time
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console

from job.errors import RunFailed, StoreError, UsageError
from job.plan.paths import RunPaths
from job.plan.records import CommittedFile
from job.results.run_listing import RunListing, does_not_hold, list_predictions, list_run
from job.stores.folder import same_etag
from job.stores.storage import Folder, open_folder
from job.terminal.wording import counted
from tench.launcher.collect.collector import Collector
from tench.launcher.collect.destination import Destination, Identity
from tench.launcher.collect.form import Form


class Missing(BaseModel):
    """What a partial collection lacks; `rows` are ranges of the manifest's rows, each the first and the last of it."""

    shards: int
    images: int
    rows: list[tuple[int, int]]


class Collected(BaseModel):
    """As `tench collect -o json` prints it. `files` and `bytes` are what the form is, `files` below `folder`."""

    folder: str
    run_id: str
    files: list[str]
    rows: int
    bytes: int
    report: str | None
    missing: Missing | None
    downloaded_bytes: int
    seconds: float


def collect(uri: str, to: str | None, form: Form, partial: bool, console: Console) -> Collected:
    """Brings the run in the folder `uri` to the folder `to`, or to one of the run's name here.

    Raises RunFailed where the run does not hold what it says, or is unfinished and not wanted `partial`; UsageError
    where the destination or the form is wrong; StoreError where either end refuses. What is downloaded stays.
    """
    started = time.monotonic()
    form.check()
    folder = open_folder(uri)
    found = list_run(folder)
    path = _destination_path(to, folder)
    _check(folder, found, partial)
    collector = Collector(folder, [file for _, file in sorted(found.shards.items())], form)
    planned = f"{found.plan.fingerprint} {found.plan.created}"
    try:
        with Destination(path, Identity(found.plan.run_id, planned, str(form))) as destination:
            (path / RunPaths.success).unlink(missing_ok=True)  # it says that all is here, as in the run's folder
            files = collector.collect(destination, console, keep_shards=bool(found.missing))
            if collector.downloaded_bytes:
                _check_unchanged(folder, found)
            report = _bring_documents(folder, found, path)
    except OSError as error:
        what = f"{error.filename or path}: {error.strerror or error}"
        raise StoreError(f"{what}; what is downloaded stays, and the same call goes on from there") from error
    return Collected(
        folder=str(path),
        run_id=found.plan.run_id,
        files=[file.file for file in files],
        rows=sum(file.rows for file in files),
        bytes=sum(file.bytes for file in files),
        report=None if report is None else str(report),
        missing=_missing(found),
        downloaded_bytes=collector.downloaded_bytes,
        seconds=round(time.monotonic() - started, 1),
    )


def _check(folder: Folder, found: RunListing, partial: bool) -> None:
    if found.success is None and not partial:
        raise RunFailed(
            f"{folder.uri} has no {RunPaths.success}: the run is not finished, or it failed; "
            f"{len(found.shards):,} of {found.plan.shards:,} shards are committed. Run the same spec again to resume "
            "it, or take what is there with --partial"
        )
    if problems := found.problems():
        raise does_not_hold(folder.uri, list(problems.values()))


def _destination_path(to: str | None, folder: Folder) -> Path:
    if to is not None and (not to or "://" in to):
        raise UsageError(f"--to {to!r}: a folder of this machine is wanted")
    path = Path(to or folder.uri.rpartition("/")[2]).expanduser().absolute()
    here, run = Path(os.path.realpath(path)), Path(os.path.realpath(folder.uri))
    if not folder.is_remote and (here == run or run in here.parents):
        raise UsageError(f"{path} is in the run's own folder; name another one with --to")
    in_the_way = next((parent for parent in path.parents if os.path.lexists(parent)), path.parent)
    if not in_the_way.is_dir():
        raise UsageError(f"--to {path} cannot be made: {in_the_way} is no folder")
    return path


def _check_unchanged(folder: Folder, found: RunListing) -> None:
    now, _ = list_predictions(folder, found.paths, found.plan)
    changed = [file.file for shard, file in found.shards.items() if not _is_same(file, now.get(shard))]
    if changed:
        files = f"{counted(len(changed), 'file')} changed while the run was collected"
        raise RunFailed(f"{folder.uri}: {files}, {changed[0]} first; collect it again")


def _is_same(file: CommittedFile, now: CommittedFile | None) -> bool:
    return now is not None and file.bytes == now.bytes and same_etag(file.etag, now.etag)


def _bring_documents(folder: Folder, found: RunListing, path: Path) -> Path | None:
    """The plan, the report and, last, what says that all is there; the report's path where the run has one."""
    local, brought = open_folder(str(path)), set()
    for name in (RunPaths.plan, RunPaths.report, *([RunPaths.success] if found.success else [])):
        try:
            local.put(name, folder.read(name))
        except FileNotFoundError:
            continue
        brought.add(name)
    return path / RunPaths.report if RunPaths.report in brought else None


def _missing(found: RunListing) -> Missing | None:
    if not found.missing:
        return None
    rows: list[tuple[int, int]] = []
    for shard in found.missing:
        first = shard * found.plan.rows_per_file
        last = first + found.plan.shard_rows(shard) - 1
        if rows and rows[-1][1] == first - 1:
            first = rows.pop()[0]
        rows.append((first, last))
    images = sum(last - first + 1 for first, last in rows)
    return Missing(shards=len(found.missing), images=images, rows=rows)
