"""Tar shards in the webdataset convention.

Listing walks the headers and reads only labels; images are read by range, neighbours in one request.
"""

import io
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, cast

import pyarrow as pa

from job.errors import SourceError
from job.sources.container_files import ContainerFile, find_containers
from job.sources.kinds import TAR
from job.sources.left_out import LeftOutCounts
from job.sources.source import OFFSET_FIELD, ROW_FIELDS, Handle
from job.sources.tar import Member, read_members
from job.sources.tar_images import read_slices
from job.sources.tar_samples import LabelFrom, Sample, group_members
from job.spec.limits import Limits
from job.spec.spec import WebdatasetSource
from job.stores.folder import ROWS_PER_TABLE
from job.stores.range_file import RangeFile

log = logging.getLogger(__name__)

_SCHEMA = pa.schema([*ROW_FIELDS, OFFSET_FIELD])
_ARCHIVES_AT_ONCE = 8
# Members that are larger than the window are skipped over, smaller ones are read through: fewer requests.
_WINDOW_REMOTE, _WINDOW_LOCAL = 4 << 20, 64 << 10


@dataclass
class _Shard:
    """What one archive holds: rows, and counts of what is worth a word."""

    tables: list[pa.Table] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class WebdatasetReader:
    """One row a sample that has an image; its URI is `ARCHIVE#MEMBER`, with `#` and `%` escaped in the member."""

    def __init__(self, spec: WebdatasetSource, limits: Limits) -> None:
        self._spec = spec
        self._limits = limits
        self._label_from = LabelFrom.parse(spec.label_from)

    def rows(self, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        archives = find_containers(self._spec.uri, TAR, left_out)
        counts: Counter[str] = Counter()
        for shard in self._list_at_once(archives):
            counts += shard.counts
            yield from shard.tables
        left_out.add("samples without an image", counts["without an image"])
        left_out.add("further images of samples that have several", counts["further images"])
        self._check(counts, len(archives))

    def read(self, rows: pa.Table) -> Iterator[Handle]:
        return read_slices(rows, self._limits)

    def _list_at_once(self, archives: list[ContainerFile]) -> Iterator[_Shard]:
        """Several archives in threads, given out in their order."""
        enough = threading.Event()
        waiting: deque[Future[_Shard]] = deque()
        left = iter(archives)
        pool = ThreadPoolExecutor(_ARCHIVES_AT_ONCE, "list-tar")
        try:
            while True:
                for archive in islice(left, _ARCHIVES_AT_ONCE - len(waiting)):
                    waiting.append(pool.submit(self._list, archive, enough))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            enough.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _list(self, archive: ContainerFile, enough: threading.Event) -> _Shard:
        shard = _Shard()
        window = _WINDOW_REMOTE if archive.folder.is_remote else _WINDOW_LOCAL
        source = RangeFile(archive.folder, archive.key, archive.size, archive.etag)
        with io.BufferedReader(source, window) as buffered:
            file = cast(BinaryIO, buffered)
            samples = self._with_image(self._samples(file, archive), shard.counts)
            while not enough.is_set() and (batch := list(islice(samples, ROWS_PER_TABLE))):
                shard.tables.append(_to_rows(archive, batch))
        return shard

    def _samples(self, file: BinaryIO, archive: ContainerFile) -> Iterator[Sample]:
        def read(member: Member) -> bytes:
            file.seek(member.offset)
            return file.read(member.size)

        members = read_members(file, archive.size, archive.uri)
        try:
            yield from group_members(members, self._label_from, read)
        except ValueError as error:
            raise SourceError(f"{archive.uri}: {error}") from error

    def _with_image(self, samples: Iterator[Sample], counts: Counter[str]) -> Iterator[Sample]:
        for sample in samples:
            counts["labels"] += sample.has_label
            counts["further images"] += sample.further_images
            if sample.image is None:
                counts["without an image"] += 1
            else:
                counts["images"] += 1
                yield sample

    def _check(self, counts: Counter[str], archives: int) -> None:
        where = f"in {archives:,} archives at {self._spec.uri}"
        if not counts["images"]:
            raise SourceError(f"source.uri: no images {where}; {counts['without an image']:,} samples have none")
        if self._label_from is not None and not counts["labels"]:
            raise SourceError(f"source.label_from: no member ends with {self._spec.label_from} {where}")


def _to_rows(archive: ContainerFile, samples: list[Sample]) -> pa.Table:
    images = [cast(Member, sample.image) for sample in samples]
    names = [image.name.replace("%", "%25").replace("#", "%23") for image in images]
    columns = [
        [f"{archive.uri}#{name}" for name in names],
        [image.size for image in images],
        [archive.etag] * len(images),
        [sample.label for sample in samples],
        [image.offset for image in images],
    ]
    return pa.table(columns, schema=_SCHEMA)
