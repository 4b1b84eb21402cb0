"""The outcome: what the committed shards add up to, and `_SUCCESS`, which says so.

Fed once a committed shard, whether this attempt committed it or an earlier one did. Bounded by the number of shards,
classes and report samples, never by the number of images.
"""

import datetime
import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import RunFailed
from job.plan.paths import PREDICTIONS, RunPaths
from job.plan.plan import Plan, versions
from job.report.report import Report
from job.results.evaluation import Evaluation
from job.results.run_listing import read_success
from job.results.sink import Committed
from job.spec.spec import JobSpec
from job.stores.storage import Folder

log = logging.getLogger(__name__)

READERS = 8


class Outcome:
    """Adds shards in any thread, then commits the run."""

    def __init__(self, spec: JobSpec, plan: Plan, folder: Folder) -> None:
        self.files: dict[int, Committed] = {}
        self.evaluation = Evaluation(None)
        self.report = Report(spec.model.task, spec.report.samples, plan.run_id)
        self.folder = folder
        self._spec, self._plan = spec, plan
        self._lock = threading.Lock()

    def add(self, shard: int, file: Committed, predictions: pa.Table) -> None:
        with self._lock:
            self.files[shard] = file
            self.evaluation.add(predictions)
            self.report.add(predictions, shard)

    def add_committed(self, committed: Mapping[int, Committed]) -> None:
        """Reads back what an earlier attempt committed: the predictions, never an image."""

        def read(item: tuple[int, Committed]) -> None:
            shard, file = item
            self.add(shard, file, pq.read_table(BytesIO(self.folder.read(file.file))))

        with ThreadPoolExecutor(READERS) as readers:
            list(readers.map(read, committed.items()))

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files.values())

    @property
    def failed_by_kind(self) -> dict[str, int]:
        metrics = self.evaluation.metrics()
        return metrics["failed_by_kind"] if metrics else {}

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

    def commit(self, seconds: float) -> dict[str, Any]:
        """Writes `_SUCCESS`, create-only, and gives what it says; another driver's stands where it was first."""
        document = {
            "run_id": self._plan.run_id,
            "rows": self.rows,
            "failed": self.failed,
            "files": [asdict(file) for _, file in sorted(self.files.items())],
            "metrics": self.evaluation.metrics(),
            "seconds": round(seconds, 1),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": versions(),
        }
        try:
            self.folder.create(RunPaths.success, json.dumps(document, indent=1).encode())
        except FileExistsError:
            log.warning("another driver of this run wrote %s first; it stands", RunPaths.success)
            return read_success(self.folder) or document
        return document
