"""Verifying: a finished run against its own plan, without downloading it.

One listing is held against `_SUCCESS`; of each file only the URIs and the errors are read, by range. Reads no image.
"""

from collections.abc import Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from job.errors import RunFailed
from job.plan.paths import RunPaths
from job.plan.shards import Manifest
from job.results.run_listing import Inventory, does_not_hold, take_inventory
from job.results.sink import Committed
from job.stores.range_file import RangeFile
from job.stores.storage import Folder, open_folder

READERS = 32  # most of the time is the store's
SMALL_BYTES = 1 << 18  # one request for all of such a file is quicker than two for parts of it


class Verified(BaseModel):
    """As `tench verify -o json` prints it."""

    uri: str
    files: int
    rows: int
    failed: int


def verify(uri: str) -> Verified:
    """Raises RunFailed, naming what does not hold: a file, an etag, a row that is missing, doubled or out of order."""
    folder = open_folder(uri)
    found = take_inventory(folder)
    if found.success is None:
        unfinished = f"{folder.uri} has no {RunPaths.success}: the run is not finished, or it failed"
        raise RunFailed(f"{unfinished}; run the same spec again to resume it")
    problems, failed = found.problems(), 0
    for key, problem, failed_rows in _check_rows(folder, found, skip=problems.keys()):
        failed += failed_rows
        if problem:
            problems[key] = f"{key} {problem}"
    if not problems and failed != found.success["failed"]:
        said = f"{RunPaths.success} counts {found.success['failed']:,} failed images"
        problems[RunPaths.success] = f"{said}, the predictions {failed:,}"
    if problems:
        raise does_not_hold(folder.uri, [problem for _, problem in sorted(problems.items())])
    return Verified(uri=folder.uri, files=len(found.shards), rows=found.plan.images, failed=failed)


def _check_rows(folder: Folder, found: Inventory, skip: Set[str]) -> Iterator[tuple[str, str | None, int]]:
    """Of each file its key, what is wrong with its rows, and how many of them failed."""
    manifest = Manifest(found.paths, found.plan.parts)

    def check(item: tuple[int, Committed]) -> tuple[str, str | None, int]:
        shard, file = item
        try:
            written = _read(folder, file)
        except (pa.ArrowInvalid, OSError) as error:
            return file.file, f"cannot be read: {' '.join(str(error).split())}", 0
        planned = manifest.rows(shard, ["uri"])["uri"]
        failed = len(written) - written["error"].null_count
        if written["uri"].equals(planned):
            return file.file, None, failed
        return file.file, f"holds {len(written):,} rows that are not the plan's {len(planned):,}, in its order", failed

    with ThreadPoolExecutor(READERS) as readers:
        yield from readers.map(check, [item for item in found.shards.items() if item[1].file not in skip])


def _read(folder: Folder, file: Committed) -> pa.Table:
    columns = ["uri", "error"]
    if file.bytes <= SMALL_BYTES:
        return pq.read_table(BytesIO(folder.read(file.file)), columns=columns)
    return pq.ParquetFile(RangeFile(folder, file.file, file.bytes), pre_buffer=True).read(columns)
