"""Freezing a plan: the source's listing cut into shards and written once, part by part, and `plan.json` last.

Parts are frozen in order, create-only, each naming the one before it: they are one chain, whoever wrote which of them.
A planner that finds a part frozen takes it for its own, and its listing goes on behind it; so a run can begin with the
first part, and one whose planner died goes on. `plan.json` closes the chain, and says nothing that the chain does not.
"""

import datetime
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from io import BytesIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.errors import OutputError, PlanChanged, StoreError
from job.plan.fingerprint import fingerprint, with_absolute_paths
from job.plan.listed_rows import IDENTITY, ListedRows
from job.plan.manifest import Manifest
from job.plan.parts import Chain, as_part, encode_part, head_of
from job.plan.paths import RunPaths
from job.plan.plan import check_source, check_unchanged, versions
from job.plan.records import LAYOUT, FrozenModel, LeftOut, PartHead, Plan, load_plan
from job.settings import IMAGE
from job.spec.columns import CROP, PLACE
from job.spec.spec import JobSpec
from job.stores.storage import Folder

log = logging.getLogger(__name__)

# A run begins when the first part is frozen; each may be twice as large as the one before, so that they stay few.
FIRST_PART_ROWS = 20_000
PART_ROWS = 1_000_000
PART_BYTES = 64 << 20


class Freezer:
    """Freezes one run's plan, a part a call. Where another planner is at it too, the two freeze one chain.

    `model` is asked before the first part is written, `left_out` behind the end of the listing; a model may have to
    wait for a replica's node. `labels` are a digest of the files that labels are from: all rows have theirs from the
    same. `chain` is what is frozen already.
    """

    def __init__(
        self,
        spec: JobSpec,
        paths: RunPaths,
        folder: Folder,
        listing: Iterator[pa.Table],
        model: Callable[[], FrozenModel | None] = lambda: None,
        left_out: Callable[[], Sequence[LeftOut]] = tuple,
        source_identity: str | None = None,
        ascends: bool = False,
        chain: Chain | None = None,
        labels: str | None = None,
    ) -> None:
        self._spec, self._paths, self._folder = spec, paths, folder
        self._rows = ListedRows(listing, ascends and (chain is None or chain.head.ascends), spec.source.limit)
        self._model, self._left_out, self._identity, self._labels = model, left_out, source_identity, labels
        self.chain = chain
        self._to_pass_over = chain
        self._is_empty = False
        self._error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        """Whether the last part is frozen."""
        return self._is_empty or (self.chain is not None and self.chain.head.is_last)

    def freeze_part(self) -> None:
        """Lists and freezes one more part. Raises SourceError, StoreError; PlanChanged where the run is another's.

        What it raised it raises again: of what it had listed nothing is left, and the rest is not the source.
        """
        if self._error:
            raise self._error
        try:
            self._freeze_part()
        except BaseException as error:
            self._error = error
            raise

    def _freeze_part(self) -> None:
        if self._to_pass_over:
            self._pass_over(self._to_pass_over)
            self._to_pass_over = None
        number = len(self.chain.parts) if self.chain else 0
        shards = self._take(min(PART_ROWS, FIRST_PART_ROWS << min(number, 30)))
        if not shards and self.chain is None:
            self._is_empty = True
            return
        key, head = self._paths.manifest(number), self._head(number, shards)
        data = encode_part(head, shards)
        digest = hashlib.sha256(data).hexdigest()
        try:
            self._append(head, key, self._folder.create(key, data), digest)
        except FileExistsError:
            theirs = self._folder.read(key)
            if hashlib.sha256(theirs).hexdigest() == digest:
                self._append(head, key, self._etag(key), digest)
            elif found := head_of(BytesIO(theirs)):
                self._take_over(found, key, theirs, shards)
            elif self._folder.head(RunPaths.plan):
                self._is_empty = True  # an older version's planner was first; its plan is the one
            else:  # its planner died
                self._append(head, key, self._folder.put(key, data), digest)

    def so_far(self) -> Plan:
        """What is frozen, as a plan that is still open."""
        return self.chain.so_far() if self.chain else self._open()

    def close(self) -> Plan:
        """Writes `plan.json`, once the last part is frozen. Where another planner was first, its plan is the one."""
        plan = self.chain.closed() if self.chain else self._open().model_copy(update={"is_listed": True})
        return _commit(plan, self._folder, self._spec)

    def _take(self, most_rows: int) -> list[pa.Table]:
        """Shards for a part that is bounded in rows and in memory, so that kept columns of any size can pass."""
        rows_per_file = self._spec.output.rows_per_file
        shards: list[pa.Table] = []
        rows = size = 0
        while not shards or (rows + rows_per_file <= most_rows and size + shards[-1].nbytes <= PART_BYTES):
            shard = self._rows.take(rows_per_file)
            if shard is None:
                break
            shards.append(shard)
            rows, size = rows + shard.num_rows, size + shard.nbytes
        return shards

    def _head(self, number: int, shards: Sequence[pa.Table]) -> PartHead:
        before = self.chain.head if self.chain else None
        rows = sum(shard.num_rows for shard in shards)
        is_last = self._rows.is_at_end
        return PartHead(
            number=number,
            previous=self.chain.parts[-1].sha256 if self.chain else None,
            first_shard=before.first_shard + before.shards if before else 0,
            shards=len(shards),
            rows=rows,
            images=rows + (before.images if before else 0),
            bytes=reduce(add_sizes, shards, before.bytes if before else 0),
            last_uri=shards[-1]["uri"][-1].as_py() if shards else str(before and before.last_uri),
            ascends=self._rows.ascends,
            labels=self._labels,
            is_last=is_last,
            left_out=tuple(self._left_out()) if is_last else (),
            opening=None if before else self._open(),
        )

    def _open(self) -> Plan:
        return Plan(
            run_id=self._paths.run_id,
            fingerprint=fingerprint(self._spec),
            spec=with_absolute_paths(self._spec).model_dump(mode="json"),
            images=0,
            bytes=0,
            shards=0,
            rows_per_file=self._spec.output.rows_per_file,
            parts=(),
            versions=versions(),
            model=self._model(),
            image=IMAGE.value(),
            source_identity=self._identity,
            layout=LAYOUT,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            is_listed=False,
        )

    def _append(self, head: PartHead, key: str, etag: str, digest: str) -> None:
        part = as_part(head, key, etag, digest)
        if self.chain:
            self.chain = Chain((*self.chain.parts, part), self.chain.opening, head)
        elif head.opening:
            self.chain = Chain((part,), head.opening, head)

    def _take_over(self, head: PartHead, key: str, data: bytes, shards: Sequence[pa.Table]) -> None:
        """Another planner's part is the next one. What was listed for ours comes again, behind it."""
        if head.opening:
            check_unchanged(head.opening, self._spec)
            check_source(head.opening, self._identity)
        if head.previous != (self.chain.parts[-1].sha256 if self.chain else None):
            raise OutputError(
                f"output.uri: {self._folder.uri}/{key} does not go on from the part before it; two drivers of one run "
                "wrote where the store overwrites; start the run anew under another --run-id"
            )
        if not head.is_last:
            self._check_labels(head)
            file = pq.ParquetFile(BytesIO(data))
            self._rows.put_back(shards)
            self._rows.pass_over(map(file.read_row_group, range(file.num_row_groups)), head.rows, head.last_uri)
        self._append(head, key, self._etag(key), hashlib.sha256(data).hexdigest())

    def _pass_over(self, chain: Chain) -> None:
        manifest, head = Manifest(self._paths, chain.parts), chain.head
        self._check_labels(head)
        frozen = (manifest.rows(shard, (*PLACE, *IDENTITY)) for shard in range(head.first_shard + head.shards))
        self._rows.pass_over(frozen, head.images, head.last_uri)

    def _check_labels(self, head: PartHead) -> None:
        """Rows to come would have other labels than those that are frozen. Raises PlanChanged."""
        if self._labels != head.labels:
            raise PlanChanged(
                f"run {self._paths.run_id} was being listed with another content of source.label_file or "
                "source.label_names; put it back, or give the new one another --run-id"
            )

    def _etag(self, key: str) -> str:
        entry = self._folder.head(key)
        return entry.etag if entry else ""


def freeze(
    spec: JobSpec,
    paths: RunPaths,
    folder: Folder,
    listing: Iterator[pa.Table],
    model: Callable[[], FrozenModel | None] = lambda: None,
    left_out: Callable[[], Sequence[LeftOut]] = tuple,
    source_identity: str | None = None,
) -> Plan:
    """All of it at once, for the arguments of a `Freezer`."""
    freezer = Freezer(spec, paths, folder, listing, model, left_out, source_identity)
    while not freezer.is_done:
        freezer.freeze_part()
    return freezer.close()


def add_sizes(total: int | None, listing: pa.Table) -> int | None:
    """Bytes so far and those of a table of the listing; None as soon as one size is not known.

    That of a crop is not: `size` is of the image that all its crops are cut from.
    """
    if total is None or listing["size"].null_count or CROP[0] in listing.column_names:
        return None
    return total + int(pc.sum(listing["size"]).as_py() or 0)


def _commit(plan: Plan, folder: Folder, spec: JobSpec) -> Plan:
    data = plan.to_bytes()
    try:
        folder.create(RunPaths.plan, data)
    except FileExistsError:
        return _winner(folder, spec)
    _probe_create_only(folder, data)
    return plan


def _winner(folder: Folder, spec: JobSpec) -> Plan:
    """The plan that another planner committed first."""
    plan = load_plan(folder)
    if plan is None:
        raise StoreError(f"{folder.uri}/{RunPaths.plan} exists and cannot be read; look at the folder's permissions")
    check_unchanged(plan, spec)
    return plan


def _probe_create_only(folder: Folder, data: bytes) -> None:
    """Some S3-compatible stores ignore `If-None-Match: *` and overwrite; two drivers of one run are then not fenced."""
    try:
        folder.create(RunPaths.plan, data)
    except FileExistsError:
        return
    log.warning(
        "%s overwrites where it was asked to create only; never start one run id twice at a time there", folder.uri
    )
