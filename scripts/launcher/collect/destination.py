"""The destination: the folder that a run is collected into, and its record of the files that are whole.

The record is a line of JSON for each file, written once the file has its name: what it was made of, its rows and size.
A download that was broken off goes on from it, and a file that changed at either end is made anew.
"""

import fcntl
import json
import logging
import os
import secrets
import shutil
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from job.errors import UsageError

log = logging.getLogger(__name__)

HIDDEN = ".collect"


@dataclass(frozen=True)
class Whole:
    """A file of the destination; `origin` is what it was made of: an etag, or a hash over several."""

    file: str
    origin: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Identity:
    """What it holds: a run, of one plan, in one form. Two plans of a run id differ in when they were made."""

    run_id: str
    plan: str
    form: str


class Destination:
    """A context: while it is open, no other process collects into the folder. Safe to use from several threads."""

    def __init__(self, path: Path, identity: Identity) -> None:
        """Makes the folder. Raises UsageError where it holds other things, another run, or this one in another form."""
        self.path = path
        self._whole: dict[str, Whole] = {}
        self._lock = threading.Lock()
        self._temporary = path / HIDDEN / "temporary"
        record = path / HIDDEN / "record.jsonl"
        if not record.exists():
            _check_empty(path)
        record.parent.mkdir(parents=True, exist_ok=True)
        self._record = record.open("a+", encoding="utf-8")
        _claim(self._record.fileno(), path)
        self._read_record(identity)
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir()

    def __enter__(self) -> "Destination":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._record.close()

    def find(self, file: str, origin: str) -> Whole | None:
        """The file, where it is whole and was made of just this."""
        whole = self._whole.get(file)
        if whole is None or whole.origin != origin:
            return None
        try:
            return whole if (self.path / file).stat().st_size == whole.bytes else None
        except FileNotFoundError:
            return None

    def temporary(self) -> Path:
        """A new name on the destination's own file system."""
        return self._temporary / secrets.token_hex(8)

    def keep(self, temporary: Path, file: str, origin: str, rows: int) -> Whole:
        """Gives a finished file its name, in the place of one that has it, and notes it in the record."""
        whole = Whole(file, origin, rows, temporary.stat().st_size)
        (self.path / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, self.path / file)
        with self._lock:
            self._whole[file] = whole
            self._append(whole)
        return whole

    def _read_record(self, identity: Identity) -> None:
        self._record.seek(0)
        text = self._record.read()
        head, *lines = [_parse(line) for line in text.split("\n")]
        if head is None:
            self._record.truncate(0)
            self._append(identity)
            return
        _check_identity(self.path, Identity(**head), identity)
        if not text.endswith("\n"):  # the process was killed as it wrote this line
            self._record.write("\n")
        self._whole = {line["file"]: Whole(**line) for line in lines if line}

    def _append(self, line: Identity | Whole) -> None:
        self._record.write(json.dumps(asdict(line)) + "\n")
        self._record.flush()


def _check_empty(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; --to wants a folder")
    if path.exists() and any(not each.name.startswith(".") for each in path.iterdir()):
        raise UsageError(f"{path} holds other things; --to wants a new or an empty folder")


def _check_identity(path: Path, there: Identity, wanted: Identity) -> None:
    if (there.run_id, there.plan) != (wanted.run_id, wanted.plan):
        other = there.run_id if there.run_id != wanted.run_id else f"another {there.run_id}, planned at another time"
        raise UsageError(f"{path} holds {other}; give --to another folder for {wanted.run_id}")
    if there.form != wanted.form:
        raise UsageError(
            f"{path} holds this run collected with {there.form}; collect it so again, or give --to another folder"
        )


def _claim(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"another `tench collect` writes to {path}; wait for it, or give --to another folder"
        ) from None
    except OSError as error:  # a network's file system without locks
        log.debug("%s cannot be locked: %s", path, error)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        parsed: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return parsed
