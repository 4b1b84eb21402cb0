"""The driver's log, kept in the run's folder: in a Ray job it is a file on the head, which goes when the job ends.

Called by `python -m job` alone. Nothing here may fail a run.
"""

import atexit
import datetime
import json
import logging
import os
import sys
from pathlib import Path

from job.plan.paths import RAY_LOGS, RunPaths, ray_driver_log
from job.stores.storage import RetryPolicy, open_folder
from job.terminal.ticker import Ticker

log = logging.getLogger(__name__)

INTERVAL_S = 30.0
MAX_BYTES = 4_000_000
PATIENCE = RetryPolicy(deadline_s=20.0)
JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray's name for it


def keep_log(paths: RunPaths) -> None:
    """Copies the log until the process ends; does nothing outside a Ray job, and for a run that is complete."""
    file = find_log(Path(RAY_LOGS))
    if file is None or _is_complete(paths):
        return
    started = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    kept = DriverLogCopy(file, paths, started)
    ticker = Ticker(INTERVAL_S, kept.copy)
    ticker.start()
    # An error is printed when everything else is over.
    atexit.register(_finish, ticker, kept)


def find_log(folder: Path) -> Path | None:
    """What Ray redirects this process's output to."""
    try:
        job = json.loads(os.environ[JOB_CONFIG])["metadata"]["job_submission_id"]
    except (KeyError, ValueError, TypeError):
        return None
    file = folder / ray_driver_log(job)
    return file if file.is_file() else None


def _is_complete(paths: RunPaths) -> bool:
    """Such a run's folder is left as it is."""
    try:
        return open_folder(paths.uri, PATIENCE).head(RunPaths.success) is not None
    except Exception as error:  # the run will say it better
        log.debug("the run's folder cannot be read: %s", error)
        return False


def _finish(ticker: Ticker, kept: "DriverLogCopy") -> None:
    """Copies what was printed last."""
    ticker.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    kept.copy()


class DriverLogCopy:
    """Copies the end of a growing file to `logs/driver-<started>.log`."""

    def __init__(self, file: Path, paths: RunPaths, started: str) -> None:
        self._file, self._paths, self._key = file, paths, paths.log(started)
        self._copied_size = -1

    def copy(self) -> None:
        try:
            size = self._file.stat().st_size
            if size != self._copied_size:
                open_folder(self._paths.uri, PATIENCE).put(self._key, self._tail(size))
                self._copied_size = size
        except Exception as error:  # whatever it is, the run is worth more than its log
            log.debug("the driver's log is not kept: %s", error)

    def _tail(self, size: int) -> bytes:
        with self._file.open("rb") as file:
            if size <= MAX_BYTES:
                return file.read(size)
            file.seek(size - MAX_BYTES)
            return file.read(MAX_BYTES).partition(b"\n")[2]
