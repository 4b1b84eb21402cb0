"""The sink: gathers a shard's rows, and commits each shard with one create-only write. Only the driver has one.

Rows come in any order and may come twice; a shard is written when every row of the manifest has come once, in the
manifest's order, beside the manifest's own columns.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.errors import RunFailed
from job.plan.manifest import Manifest
from job.plan.records import CommittedFile, Origin, Plan
from job.results.origins import stamp
from job.spec.columns import HIDDEN
from job.stages.timing import Figures
from job.stores.storage import Folder

log = logging.getLogger(__name__)

WRITERS = 4
BACKLOG = 8  # shards that wait for a writer, before the driver waits for them


OnCommit = Callable[[int, CommittedFile, pa.Table], None]


class Sink:
    """`on_commit` is called in a writer's thread, one shard at a time, with the table that was written."""

    def __init__(
        self,
        folder: Folder,
        manifest: Manifest,
        plan: Plan,
        on_commit: OnCommit,
        origin: Origin | None = None,
        shard_rows: Callable[[int], int] | None = None,
    ) -> None:
        """`origin` is what this attempt's files are made with; their devices and precisions come with the rows.

        `shard_rows` counts a shard's rows where the plan still grows.
        """
        self._shard_rows = shard_rows or plan.shard_rows
        self._origin = origin or Origin()
        self._folder = folder
        self._manifest = manifest
        self._plan = plan
        self._on_commit = on_commit
        self._open: dict[int, _OpenShard] = {}
        self._closed: set[int] = set()
        self._writers = ThreadPoolExecutor(WRITERS, "commit")
        self._pending: deque[Future[None]] = deque()

    def add(self, rows: pa.Table, figures: Sequence[Figures] = ()) -> None:
        """Takes rows of one or more shards, and of what they were made on. Raises what a commit before raised."""
        for shard in np.unique(rows["shard"].to_numpy()).tolist():
            if shard in self._closed:
                continue
            part = rows.filter(pc.equal(rows["shard"], shard))
            held = self._open.setdefault(shard, _OpenShard(self._shard_rows(shard)))
            held.add(part)
            held.made_on(figures)
            if held.is_complete:
                del self._open[shard]
                self._closed.add(shard)
                self._submit(shard, held)

    def close(self) -> None:
        """Waits for every commit. Raises RunFailed where a shard never became complete."""
        while self._pending:
            self._pending.popleft().result()
        self._writers.shutdown()
        if self._open:
            missing = {shard: int((~held.seen).sum()) for shard, held in sorted(self._open.items())[:5]}
            raise RunFailed(
                f"the engine ended and {len(self._open)} shards miss rows ({missing}); run it again to resume"
            )

    def _submit(self, shard: int, held: "_OpenShard") -> None:
        while len(self._pending) >= BACKLOG or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._writers.submit(self._commit, shard, held))

    def _commit(self, shard: int, held: "_OpenShard") -> None:
        rows = as_planned(held.ordered(), self._plan)
        table = stamp(join(self._manifest.rows(shard), rows), held.origin(self._origin))
        data = encode(table)
        key = self._manifest.paths.predictions(shard)
        try:
            etag = self._folder.create(key, data)
        except FileExistsError:
            log.warning("%s was committed by another driver of this run; its rows stand", key)
            data = self._folder.read(key)
            table = pq.read_table(BytesIO(data))
            entry = self._folder.head(key)
            etag = entry.etag if entry else ""
        self._on_commit(shard, committed_file(key, etag, data, table), table)


class _OpenShard:
    """The rows of a shard that have come so far."""

    def __init__(self, rows: int) -> None:
        self.seen: npt.NDArray[np.bool_] = np.zeros(rows, np.bool_)
        self.tables: list[pa.Table] = []
        self._devices: set[str] = set()
        self._precisions: set[str] = set()

    def made_on(self, figures: Sequence[Figures]) -> None:
        self._devices |= {each["device_name"] for each in figures if "device_name" in each}
        self._precisions |= {each["precision"] for each in figures if "precision" in each}

    def origin(self, attempt: Origin) -> Origin:
        return attempt.model_copy(
            update={"devices": tuple(sorted(self._devices)), "precisions": tuple(sorted(self._precisions))}
        )

    @property
    def is_complete(self) -> bool:
        return bool(self.seen.all())

    def add(self, rows: pa.Table) -> None:
        """Drops rows that came before: a task that was lost after its rows were delivered runs again."""
        numbers = rows["row"].to_numpy()
        _, first = np.unique(numbers, return_index=True)
        fresh = np.sort(first[~self.seen[numbers[first]]])
        if len(fresh) < len(numbers):
            rows, numbers = rows.take(pa.array(fresh)), numbers[fresh]
        self.seen[numbers] = True
        self.tables.append(rows)

    def ordered(self) -> pa.Table:
        return pa.concat_tables(self.tables).sort_by("row")


def as_planned(rows: pa.Table, plan: Plan) -> pa.Table:
    """With the columns of the version that planned the run: all files of a run have the same."""
    if plan.reads_as_pillow and "image_notes" in rows.column_names:
        rows = rows.drop_columns(["image_notes"])
    if plan.layout < 2 and "boxes" in rows.column_names:
        boxes = rows["boxes"].cast(pa.list_(pa.list_(pa.float32())))
        rows = rows.set_column(rows.column_names.index("boxes"), "boxes", boxes).drop_columns(["label_indices"])
    return rows


def join(manifest: pa.Table, rows: pa.Table) -> pa.Table:
    """The predictions of a shard: the contract's columns, in the contract's order."""
    if not np.array_equal(rows["row"].to_numpy(), manifest["row"].to_numpy()):
        raise RunFailed(f"the rows of shard {manifest['shard'][0]} do not match its manifest; report this as a bug")
    table = manifest.select([name for name in manifest.column_names if name not in HIDDEN])
    for name in rows.column_names:
        if name not in HIDDEN:
            table = table.append_column(rows.schema.field(name), rows[name])
    return table


def committed_file(key: str, etag: str, data: bytes, table: pa.Table) -> CommittedFile:
    """What `_SUCCESS` says of a predictions file; by its digest a copy of the run can be told from a changed one."""
    return CommittedFile(
        file=key, rows=table.num_rows, bytes=len(data), etag=etag, sha256=hashlib.sha256(data).hexdigest()
    )


def encode(table: pa.Table) -> bytes:
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
