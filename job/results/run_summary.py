"""What the committed shards add up to, and `_SUCCESS`, which says so.

Fed once a committed shard, whether this attempt committed it or an earlier one did. Bounded by the number of shards and
classes, never by the number of images.
"""

import datetime
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import RunFailed
from job.plan.paths import PREDICTIONS, RunPaths
from job.plan.plan import versions
from job.plan.records import CommittedFile, Origin, Plan, Success, load_success
from job.results.evaluation import Evaluation
from job.results.origins import OriginCounts
from job.results.sink import committed_file
from job.spec.spec import JobSpec
from job.stores.storage import Folder

log = logging.getLogger(__name__)

READERS = 8


class RunSummary:
    """Adds shards in any thread, then commits the run. `on_shard` is told of each, one at a time."""

    def __init__(
        self,
        spec: JobSpec,
        plan: Plan,
        folder: Folder,
        on_shard: Callable[[pa.Table, int], None],
        origin: Origin | None = None,
    ) -> None:
        """`origin` is what this attempt's files are made with."""
        self.files: dict[int, CommittedFile] = {}
        self.evaluation = Evaluation()
        self._origins = OriginCounts()
        self.folder = folder
        self.plan, self.origin = plan, origin or Origin()
        self._spec, self._on_shard = spec, on_shard
        self._lock = threading.Lock()

    def add(self, shard: int, file: CommittedFile, predictions: pa.Table) -> None:
        with self._lock:
            self.files[shard] = file
            self.evaluation.add(predictions)
            self._origins.add(predictions)
            self._on_shard(predictions, shard)

    def add_committed(self, committed: Mapping[int, CommittedFile]) -> None:
        """Reads back what an earlier attempt committed: the predictions, never an image."""

        def read(item: tuple[int, CommittedFile]) -> None:
            shard, listed = item
            data = self.folder.read(listed.file)
            table = pq.read_table(BytesIO(data))
            self.add(shard, committed_file(listed.file, listed.etag, data, table), table)

        with ThreadPoolExecutor(READERS) as readers:
            list(readers.map(read, committed.items()))

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files.values())

    @property
    def failed_by_kind(self) -> dict[str, int]:
        return self.evaluation.failed_by_kind

    @property
    def failed(self) -> int:
        return sum(self.failed_by_kind.values())

    def problem(self) -> RunFailed | None:
        """Why the run counts as failed: more images failed than the spec allows."""
        rows, failed = self.rows, self.failed
        if not rows or failed / rows <= self._spec.errors.max_fraction:
            return None
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in self.failed_by_kind.items())
        return RunFailed(
            f"{failed:,} of {rows:,} images failed ({kinds}), {failed / rows:.2%} where errors.max_fraction allows "
            f"{self._spec.errors.max_fraction:.2%}; all rows are in {self.folder.uri}/{PREDICTIONS}, without "
            f"{RunPaths.success}: "
            "mend the images and give the run another --run-id, or raise errors.max_fraction and run it again"
        )

    def commit(self, seconds: float) -> Success:
        """Writes `_SUCCESS`, create-only, and gives what it says; another driver's stands where it was first."""
        success = Success(
            run_id=self.plan.run_id,
            rows=self.rows,
            failed=self.failed,
            files=tuple(file for _, file in sorted(self.files.items())),
            metrics=self.evaluation.metrics(),
            seconds=round(seconds, 1),
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            versions=versions(),
            origins=self._origins.groups(),
            left_out=self.plan.left_out,
        )
        try:
            self.folder.create(RunPaths.success, success.to_bytes())
        except FileExistsError:
            log.warning("another driver of this run wrote %s first; it stands", RunPaths.success)
            return load_success(self.folder) or success
        return success
