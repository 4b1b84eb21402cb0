"""Abandoned run folders: planned, never finished, untouched for long, and of no RayJob."""

import datetime
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from job.plan.parts import load_frozen
from job.plan.paths import RunPaths
from job.plan.records import UnreadableRecord, load_progress
from job.stores.storage import Folder, open_folder
from tench.launcher.watch.status import parse_time

THREADS = 16


@dataclass(frozen=True)
class Abandoned:
    """`touched` is when its driver last said something."""

    run_id: str
    uri: str
    touched: datetime.datetime
    objects: int
    bytes: int


def find_abandoned(output_uri: str, before: datetime.datetime, run_ids: frozenset[str]) -> Iterator[Abandoned]:
    """The folders under an output that no RayJob of `run_ids` has, and that nobody touched since `before`."""
    for run_id in open_folder(output_uri).folders():
        uri = RunPaths(output_uri, run_id).uri
        folder = open_folder(uri)
        if run_id in run_ids or (touched := last_touched(folder)) is None or touched >= before:
            continue
        tables = list(folder.list())
        size = sum(size or 0 for table in tables for size in table["size"].to_pylist())
        yield Abandoned(run_id, uri, touched, sum(table.num_rows for table in tables), size)


def last_touched(folder: Folder) -> datetime.datetime | None:
    """None for what is no run's folder, a finished run's, or one of which that cannot be told.

    A driver writes its progress every ten seconds.
    """
    if folder.head(RunPaths.success):
        return None
    try:
        plan, progress = load_frozen(folder, RunPaths.of(folder.uri)), load_progress(folder)
    except UnreadableRecord:  # another program's plan.json, or a damaged one
        return None
    if plan is None:
        return None
    times = [parse_time(plan.created), parse_time(progress.updated if progress else None)]
    return max((each for each in times if each), default=None)


def delete_folder(found: Abandoned) -> bool:
    """Objects first and the plan last, so that what is broken off is found again; False where it was touched since.

    Where there is no plan yet, the first part of the manifest tells what it is.
    """
    folder = open_folder(found.uri)
    if last_touched(folder) != found.touched:
        return False
    last = (RunPaths.of(folder.uri).manifest(0), RunPaths.plan)
    keys = [key for table in folder.list() for key in table["key"].to_pylist() if key not in last]
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(folder.delete, keys))
    for key in last:
        folder.delete(key)
    return True
