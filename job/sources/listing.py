"""What a source's folder holds: its objects in order, but for what no source means, which is counted."""

from collections.abc import Iterator

import pyarrow as pa

from job.sources.left_out import LeftOutCounts
from job.sources.run_folders import without_runs
from job.stores.local_folder import LocalFolder
from job.stores.storage import Folder


def list_objects(
    folder: Folder, left_out: LeftOutCounts, prefix: str = "", with_runs: bool = False
) -> Iterator[pa.Table]:
    """As `Folder.list`, without Tench's own runs, and past folders of this machine that cannot be opened."""
    tables = _list(folder, left_out, prefix)
    return tables if with_runs else without_runs(tables, left_out)


def _list(folder: Folder, left_out: LeftOutCounts, prefix: str) -> Iterator[pa.Table]:
    if isinstance(folder, LocalFolder):
        return folder.list(prefix, lambda kind, key: left_out.add(kind, example=key))
    return folder.list(prefix)
