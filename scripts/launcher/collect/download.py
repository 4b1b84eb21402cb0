"""Downloads: one shard's file, brought here under a name of no consequence, checked, and only then given its own."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import RunFailed
from job.plan.records import CommittedFile
from job.stores.storage import Folder
from tench.launcher.collect.destination import Destination, Whole

PART_BYTES = 4 << 20  # what each download holds, and what a broken connection loses

Advance = Callable[[int], None]


def download(folder: Folder, file: CommittedFile, destination: Destination, name: str, advance: Advance) -> Whole:
    """The file in the destination, under `name`, whole. `advance` is told of bytes as they come.

    Raises RunFailed where it is not what was listed, StoreError once retries are spent.
    """
    temporary, digest = destination.temporary(), hashlib.sha256()
    with temporary.open("wb") as out:
        for start in range(0, file.bytes, PART_BYTES):
            part = _read(folder, file, start)
            out.write(part)
            digest.update(part)
            advance(len(part))
    _check(folder, file, temporary, digest.hexdigest())
    return destination.keep(temporary, name, file.etag, file.rows)


def _read(folder: Folder, file: CommittedFile, start: int) -> bytes:
    try:
        return folder.read_range(file.file, start, min(PART_BYTES, file.bytes - start))
    except FileNotFoundError:
        raise RunFailed(f"{folder.uri}/{file.file} is gone since it was listed; collect the run again") from None


def _check(folder: Folder, file: CommittedFile, path: Path, sha256: str) -> None:
    uri, size = f"{folder.uri}/{file.file}", path.stat().st_size
    if size != file.bytes:
        raise RunFailed(f"{uri} gave {size:,} bytes and was listed with {file.bytes:,}; collect the run again")
    if file.sha256 not in (None, sha256):
        raise RunFailed(f"{uri} was changed: its bytes are not the committed ones; `tench verify` checks the others")
    try:
        rows = pq.read_metadata(path).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(uri, error) from error
    if rows != file.rows:
        raise RunFailed(f"{uri} holds {rows:,} rows and the plan has {file.rows:,}; `tench verify` checks the others")


def unreadable(uri: str, error: Exception) -> RunFailed:
    """What an error of Arrow's, of several lines, becomes for a file that is no whole Parquet file."""
    return RunFailed(f"{uri} cannot be read ({' '.join(str(error).split())}); collect the run again, or verify it")
