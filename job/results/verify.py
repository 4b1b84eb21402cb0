"""Verifying: a finished run against its own plan, without downloading it.

One listing is held against `_SUCCESS`; of each file only the URIs and the errors are read, by range;
a copy has other etags, and is read whole. Reads no image.
"""

import hashlib
from collections.abc import Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from job.errors import RunFailed
from job.plan.manifest import Manifest
from job.plan.paths import RunPaths
from job.plan.records import CommittedFile, FrozenModel
from job.results.origins import origin_of
from job.results.run_listing import RunListing, does_not_hold, list_run
from job.stores.range_file import RangeFile
from job.stores.storage import Folder, open_folder

READERS = 32  # most of the time is the store's
COLUMNS = ["uri", "error"]
SMALL_BYTES = 1 << 18  # one request for all of such a file is quicker than two for parts of it


class Verified(BaseModel):
    """As `tench verify -o json` prints it."""

    uri: str
    files: int
    rows: int
    failed: int
    accepted: int = 0  # files of another model than the plan's, by --accept-changed-model


def verify(uri: str) -> Verified:
    """Raises RunFailed, naming what does not hold: a file, an etag, a row that is missing, doubled or out of order."""
    folder = open_folder(uri)
    found = list_run(folder)
    if found.success is None:
        unfinished = f"{folder.uri} has no {RunPaths.success}: the run is not finished, or it failed"
        raise RunFailed(f"{unfinished}; run the same spec again to resume it")
    problems, failed = found.problems(), 0
    for key, problem, failed_rows in _check_rows(folder, found, skip=problems.keys()):
        failed += failed_rows
        if problem:
            problems[key] = f"{key} {problem}"
    if not problems and failed != found.success.failed:
        said = f"{RunPaths.success} counts {found.success.failed:,} failed images"
        problems[RunPaths.success] = f"{said}, the predictions {failed:,}"
    if problems:
        raise does_not_hold(folder.uri, [problem for _, problem in sorted(problems.items())])
    accepted = sum(group.files for group in found.success.origins if group.accepted)
    return Verified(uri=folder.uri, files=len(found.shards), rows=found.plan.images, failed=failed, accepted=accepted)


def _check_rows(folder: Folder, found: RunListing, skip: Set[str]) -> Iterator[tuple[str, str | None, int]]:
    """Of each file its key, what is wrong with its rows, and how many of them failed."""
    manifest, copied = Manifest(found.paths, found.plan.parts), found.copied

    def check(item: tuple[int, CommittedFile]) -> tuple[str, str | None, int]:
        shard, file = item
        try:
            written = _read_copy(folder, file) if file.file in copied else _read(folder, file)
            if written is None:
                return file.file, "was changed: its bytes are not those that were committed", 0
        except (pa.ArrowInvalid, OSError) as error:
            return file.file, f"cannot be read: {' '.join(str(error).split())}", 0
        if problem := _made_with(written, found.plan.model):
            return file.file, problem, 0
        planned = manifest.rows(shard, ["uri"])["uri"]
        failed = len(written) - written["error"].null_count
        if written["uri"].equals(planned):
            return file.file, None, failed
        return file.file, f"holds {len(written):,} rows that are not the plan's {len(planned):,}, in its order", failed

    with ThreadPoolExecutor(READERS) as readers:
        yield from readers.map(check, [item for item in found.shards.items() if item[1].file not in skip])


def _made_with(written: pa.Table, model: FrozenModel | None) -> str | None:
    """What is wrong with a file's model; older versions froze none."""
    if model is None:
        return None
    origin = origin_of(written)
    if origin is None:
        return "does not say which model it is of; no run of this plan wrote it"
    if origin.model != model.digest and not origin.accepted:
        return f"is of another model ({origin.model}) than the plan's ({model.digest})"
    return None


def _read(folder: Folder, file: CommittedFile) -> pa.Table:
    if file.bytes <= SMALL_BYTES:
        return pq.read_table(BytesIO(folder.read(file.file)), columns=COLUMNS)
    return pq.ParquetFile(RangeFile(folder, file.file, file.bytes), pre_buffer=True).read(COLUMNS)


def _read_copy(folder: Folder, file: CommittedFile) -> pa.Table | None:
    """A run that was copied to another place has other etags there: each file is read whole. None where it differs."""
    data = folder.read(file.file)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        return None
    return pq.read_table(BytesIO(data), columns=COLUMNS)
