"""A run's folder, read from here: progress, `_SUCCESS`, and the driver's logs.

A folder that cannot be read never hides what the cluster says.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from job.errors import TenchError
from job.plan.paths import LOGS, RunPaths
from job.plan.records import Progress, Record, Success, load_progress, load_success
from job.stores.storage import Folder, RetryPolicy, open_folder
from job.terminal.wording import shorten
from tench.launcher.watch.status import parse_time

R = TypeVar("R", bound=Record)

IMPATIENT = RetryPolicy(deadline_s=0.0, request_timeout_s=10.0)
AGAIN_S = 60.0
LOG_KEPT_S = 30.0
LOG_END_BYTES = 32_000


class RunFolder:
    """A store that does not answer is asked again after a minute; `problem` says what it said."""

    def __init__(self, paths: RunPaths) -> None:
        logging.getLogger("job.stores").setLevel(logging.ERROR)  # each try is no news of the run
        self.paths = paths
        self.problem: str | None = None
        self._folder: Folder | None = None
        self._asked = 0.0
        self._log_end, self._log_read = "", -LOG_KEPT_S

    @property
    def uri(self) -> str:
        return self.paths.uri

    def success(self) -> Success | None:
        return self._read(load_success)

    def progress(self, started: str | None) -> Progress | None:
        """Without a rate where an attempt wrote it that began before `started`."""
        found = self._read(load_progress)
        if found is None:
            return None
        began, written = parse_time(started), parse_time(found.updated)
        earlier = began is not None and written is not None and written < began
        return found.model_copy(update={"images_per_second": None, "eta_s": None}) if earlier else found

    def driver_log(self, tail_bytes: int | None = None) -> str | None:
        """The newest attempt's, as far as it is kept, or its end. Raises StoreError."""
        folder = self._folder or open_folder(self.uri, IMPATIENT)
        objects = [entry for table in folder.list(LOGS) for entry in table.to_pylist()]
        if not objects:
            return None
        newest = max(objects, key=lambda entry: entry["key"])
        start = max(0, newest["size"] - (tail_bytes or newest["size"]))
        return folder.read_range(newest["key"], start, newest["size"] - start).decode(errors="replace")

    def driver_log_end(self) -> str:
        """Read again every half a minute, as often as it is kept; "" where it cannot be read."""
        if time.monotonic() - self._log_read > LOG_KEPT_S:
            self._log_read = time.monotonic()
            try:
                self._log_end = "" if self.problem else self.driver_log(LOG_END_BYTES) or ""
            except (TenchError, FileNotFoundError):
                self._log_end = ""
        return self._log_end

    def _read(self, load: Callable[[Folder], R | None]) -> R | None:
        if self.problem and time.monotonic() - self._asked < AGAIN_S:
            return None
        self.problem, self._asked = None, time.monotonic()
        try:
            self._folder = self._folder or open_folder(self.uri, IMPATIENT)
            return load(self._folder)
        except TenchError as error:
            self.problem = shorten(str(error), 200)
            return None
