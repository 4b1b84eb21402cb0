"""Reads and decodes sources, as a program that stays: a line of JSON in, `[uri, kind]`, a line of JSON out.

`scripts.bench.reading` starts one with each build's code. Two chunks of 1,000 rows are under way, as in a run, and as
many threads decode as there are cores; nothing is resized or predicted.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import simplejpeg

from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import FilesSource, ParquetSource, WebdatasetSource
from job.stores.bucket import BucketFolder

_KINDS = {"files": FilesSource, "parquet": ParquetSource, "webdataset": WebdatasetSource}
_CHUNK_ROWS, _CHUNKS_AT_ONCE, _THREADS = 1000, 2, 2
_received = [0]


def _measure(uri: str, kind: str) -> dict[str, float]:
    source = open_source(_KINDS[kind](kind=kind, uri=uri), Limits(10**9, 10**9))
    started, bytes_before, cpu = time.perf_counter(), _bytes_read(), _cpu_s()
    rows = pa.concat_tables(source.list())
    listed, bytes_listed = time.perf_counter(), _bytes_read()
    starts = range(0, rows.num_rows, _CHUNK_ROWS)
    with ThreadPoolExecutor(_THREADS) as decoders, ThreadPoolExecutor(_CHUNKS_AT_ONCE) as chunks:
        handles = (source.read(rows.slice(start, _CHUNK_ROWS)) for start in starts)
        images = sum(chunks.map(lambda each: _decode(each, decoders), handles))
    return {
        "images": images,
        "listing_s": listed - started,
        "reading_s": time.perf_counter() - listed,
        "cpu_s": _cpu_s() - cpu,
        "bytes_listed": bytes_listed - bytes_before,
        "bytes_read": _bytes_read() - bytes_listed,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _decode(handles: Iterator[Callable[[], bytes]], decoders: ThreadPoolExecutor) -> int:
    lock = Lock()

    def decode() -> int:
        count = 0
        while True:
            with lock:
                handle = next(handles, None)
            if handle is None:
                return count
            simplejpeg.decode_jpeg(handle(), "RGB")
            count += 1

    return sum(future.result() for future in [decoders.submit(decode) for _ in range(_THREADS)])


def _bytes_read() -> int:
    """Of files, from the system; of buckets, from their folders: no socket is a file to the system's count."""
    lines = Path("/proc/self/io").read_text().split()
    return int(lines[1]) + _received[0]


def _count_buckets() -> None:
    for name in ("read", "read_range"):
        setattr(BucketFolder, name, _counted(getattr(BucketFolder, name)))


def _counted(read: Callable[..., bytes]) -> Callable[..., bytes]:
    def counted(*arguments: Any) -> bytes:
        data = read(*arguments)
        _received[0] += len(data)
        return data

    return counted


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    _count_buckets()
    for line in sys.stdin:
        print(json.dumps(_measure(*json.loads(line))), flush=True)
