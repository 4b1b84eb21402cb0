"""Crash markers: files on this machine that say which chunk a process is at, and outlive it.

A lock that nobody holds tells that the process died there. The decode stage then takes that chunk carefully. Kept on
the node, not in the run's folder: a chunk that is retried elsewhere kills a process a node at most.
"""

import fcntl
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from job.plan.chunks import Chunk


@contextmanager
def mark_chunk(run_id: str, chunk: Chunk) -> Iterator[bool]:
    """Marks the chunk as being worked at. Gives whether a process died at any of its rows before."""
    folder = Path(tempfile.gettempdir()) / f"tench-{os.getuid()}" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    stale = [path for path in folder.glob(f"{chunk.shard}-*") if _overlaps(path, chunk) and _is_abandoned(path)]
    path = folder / f"{chunk.shard}-{chunk.start}-{chunk.stop}-{uuid.uuid4().hex}"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield bool(stale)
        finally:
            path.unlink()
    for left in stale:
        left.unlink(missing_ok=True)


def _overlaps(path: Path, chunk: Chunk) -> bool:
    _, start, stop, _ = path.name.split("-")
    return int(start) < chunk.stop and chunk.start < int(stop)


def _is_abandoned(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except (BlockingIOError, FileNotFoundError):
        return False
