"""One contender's process: run to its end, timed from before it starts, its memory sampled with all its children's.

Called by `scripts.bench.compare`. Start-up and exit are the contender's own, so they count.
"""

import os
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_S = 0.5
TIMEOUT_S = 3600.0
LOG_TAIL = 2000  # characters


class ContenderError(Exception):
    """Its process ended badly, or what it wrote is not every image once."""


@dataclass(frozen=True)
class Finished:
    """Clock readings are of the system's monotonic clock; memory is None where the system has no /proc."""

    started_s: float
    ended_s: float
    peak_bytes: int | None


def run_to_end(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Finished:
    """Its output goes to `log`. Raises ContenderError with the log's tail."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        started_s = time.monotonic()
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT)
        memory = _Memory(process.pid)
        try:
            code = process.wait(TIMEOUT_S)
        except BaseException:
            process.kill()
            raise
        finally:
            ended_s = time.monotonic()
            memory.stop()
    if code:
        tail = log.read_text(errors="replace")[-LOG_TAIL:]
        raise ContenderError(f"{' '.join(command)} ended with code {code}; {log} ends with:\n{tail}")
    return Finished(started_s, ended_s, memory.peak_bytes or None)


class _Memory:
    """Samples a tree of processes: private pages of each, and once what the largest sharer shares."""

    def __init__(self, root: int) -> None:
        self.peak_bytes = 0
        self._root = root
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        if Path("/proc/self/status").exists():
            self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.ident:
            self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            used = [_memory(pid) for pid in _tree(self._root)]
            private, shared = sum(each[0] for each in used), max((each[1] for each in used), default=0)
            self.peak_bytes = max(self.peak_bytes, private + shared)


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, second and in brackets, may hold anything; state and parent follow the last bracket.
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children[parent].append(int(path.parent.name))
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def _memory(pid: int) -> tuple[int, int]:
    """Bytes of private memory and of shared memory (tmpfs, such as Ray's object store and torch's batches)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    private, shared = (fields.get(name, "0").split()[0] for name in ("RssAnon", "RssShmem"))
    return int(private) * 1024, int(shared) * 1024
