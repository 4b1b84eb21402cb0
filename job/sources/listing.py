"""What a source's folder holds: its objects in order, but for what no source means, which is counted."""

from collections.abc import Iterator

import pyarrow as pa

from job.sources.left_out import LeftOutCounts
from job.sources.runs.run_folders import without_runs
from job.stores.storage import Folder


def list_objects(
    folder: Folder, left_out: LeftOutCounts, prefix: str = "", with_runs: bool = False
) -> Iterator[pa.Table]:
    """As `Folder.list`, without Tench's own runs, and past what cannot be opened or asked for."""
    tables = folder.list(prefix, left_out.pass_over)
    return tables if with_runs else without_runs(tables, left_out)
