"""Tar shards in the webdataset convention.

Listing walks the headers and reads only labels; images are read by range, neighbours in one request.
"""

import io
import threading
from collections import deque
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
from job.sources.tar.tar_images import read_slices
from job.sources.tar.tar_labels import LabelFrom
from job.sources.tar.tar_members import Member, member_uri, read_members
from job.sources.tar.tar_samples import LabelCounts, Sample, group_members
from job.spec.limits import Limits
from job.spec.spec import WebdatasetSource
from job.stores.folder import ROWS_PER_TABLE
from job.stores.range_file import RangeFile
from job.terminal.wording import counted

_SCHEMA = pa.schema([*ROW_FIELDS, OFFSET_FIELD])
_ARCHIVES_AT_ONCE = 8
# Members that are larger than the window are skipped over, smaller ones are read through: fewer requests.
_WINDOW_REMOTE, _WINDOW_LOCAL = 4 << 20, 64 << 10


WITHOUT_IMAGE = "samples without an image"
LABELS_WITHOUT_IMAGE = "samples with a label and without an image"
FURTHER_IMAGES = "further images of samples that have several"


@dataclass
class _Shard:
    """What one archive holds: rows, and what is worth a word."""

    tables: list[pa.Table] = field(default_factory=list)
    left_out: LeftOutCounts = field(default_factory=LeftOutCounts)
    labels: LabelCounts = field(default_factory=LabelCounts)


class WebdatasetReader:
    """One row a sample that has an image; its URI is `ARCHIVE#MEMBER`, with `#` and `%` escaped in the member."""

    def __init__(self, spec: WebdatasetSource, limits: Limits) -> None:
        self._spec = spec
        self._limits = limits
        self._label_from = LabelFrom.parse(spec.label_from)

    def rows(self, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        archives = find_containers(self._spec.uri, TAR, left_out)
        labels = LabelCounts()
        for shard in self._list_at_once(archives):
            left_out.add_records(shard.left_out.records())
            labels.add_counts(shard.labels)
            yield from shard.tables
        where = f"in {counted(len(archives), 'archive')} at {self._spec.uri}"
        if not labels.images:
            others = "".join(f"; {each.kind}: {each.count:,}" for each in left_out.records())
            raise SourceError(f"source.uri: no images {where}{others}")
        if self._label_from is not None and (problem := labels.problem(self._label_from)):
            raise SourceError(f"source.label_from: {problem}, {where}")

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
            samples = self._with_image(self._samples(file, archive, shard.left_out), archive, shard)
            while not enough.is_set() and (batch := list(islice(samples, ROWS_PER_TABLE))):
                shard.tables.append(_to_rows(archive, batch))
        return shard

    def _samples(self, file: BinaryIO, archive: ContainerFile, left_out: LeftOutCounts) -> Iterator[Sample]:
        def read(member: Member) -> bytes:
            file.seek(member.offset)
            return file.read(member.size)

        members = read_members(file, archive.size, archive.uri, left_out)
        try:
            yield from group_members(members, self._label_from, read, archive.uri, left_out)
        except ValueError as error:
            raise SourceError(f"{archive.uri}: {error}") from error

    def _with_image(self, samples: Iterator[Sample], archive: ContainerFile, shard: _Shard) -> Iterator[Sample]:
        for sample in samples:
            shard.labels.add(sample)
            if sample.image is None:
                kind = LABELS_WITHOUT_IMAGE if sample.label else WITHOUT_IMAGE
                shard.left_out.add(kind, example=member_uri(archive.uri, sample.name))
                continue
            if sample.further_images:
                shard.left_out.add(FURTHER_IMAGES, sample.further_images, member_uri(archive.uri, sample.name))
            yield sample


def _to_rows(archive: ContainerFile, samples: list[Sample]) -> pa.Table:
    images = [cast(Member, sample.image) for sample in samples]
    columns = [
        [member_uri(archive.uri, image.name) for image in images],
        [image.size for image in images],
        [archive.etag] * len(images),
        [sample.label.text if sample.label else None for sample in samples],
        [image.offset for image in images],
    ]
    return pa.table(columns, schema=_SCHEMA)
