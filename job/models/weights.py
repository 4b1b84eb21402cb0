"""Weights files: fetched once a node, checked, and shared by the processes there.

A local file is used where it lies. An object is kept in `$TENCH_CACHE`, else in the user's cache folder, else in the
temporary one, under a name made of its URI and etag: a changed object is another file.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock

from job.errors import ModelError
from job.models.identity import is_read, list_top
from job.settings import CACHE
from job.stores.storage import Entry, Folder, is_bucket, open_folder, split_uri

_PART_BYTES = 32 << 20


def fetch(uri: str) -> Path:
    """The file's path on this machine. Raises ModelError where there is none, StoreError once retries are spent."""
    if not is_bucket(uri):
        path = Path(uri).expanduser()
        if not path.is_file():
            raise ModelError(f"model.weights: there is no file {path.absolute()}")
        return path
    root, key = split_uri(uri)
    folder = open_folder(root)
    entry = folder.head(key)
    if entry is None:
        raise ModelError(f"model.weights: there is nothing at {uri}")
    return _fetch_object(folder, entry, cache_folder())


def fetch_folder(uri: str, patterns: Iterable[str]) -> Path:
    """A local folder with the files of a bucket's folder that match; nothing below it. Raises as `fetch` does."""
    folder = open_folder(uri)
    entries = [entry for entry in list_top(uri) if is_read(entry.key, patterns)]
    if not entries:
        raise ModelError(f"model.name: there is no {' or '.join(patterns)} at {uri}")
    local = cache_folder()
    # A changed file is another folder: two runs may need the old and the new.
    identity = hashlib.sha256(f"{folder.uri} {[(entry.key, entry.etag) for entry in entries]}".encode()).hexdigest()
    target = local / identity[:32]
    target.mkdir(exist_ok=True)
    for entry in entries:
        path = _fetch_object(folder, entry, local)
        with contextlib.suppress(FileExistsError):
            (target / entry.key).symlink_to(path)
    return target


def cache_folder() -> Path:
    """Where this node keeps fetched weights; made where it is not there."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    named = CACHE.value()
    options = [named] if named else [f"{home}/tench", f"{tempfile.gettempdir()}/tench-{os.getuid()}"]
    for option in options:
        folder = Path(option).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise ModelError(f"no folder for weights can be written: {', '.join(options)}; set {CACHE.name} to one that can")


def node_lock(name: str) -> FileLock:
    """A lock that only one process of this node holds."""
    return FileLock(cache_folder() / f"{name}.lock")


def _fetch_object(folder: Folder, entry: Entry, local: Path) -> Path:
    identity = hashlib.sha256(f"{folder.uri}/{entry.key} {entry.etag}".encode()).hexdigest()[:32]
    path = local / f"{identity}-{Path(entry.key).name}"
    record = path.with_name(f".{path.name}.sha256")
    with FileLock(local / f".{path.name}.lock"):
        if not _is_whole(path, record, entry.size):
            _download(folder, entry, path, record)
    return path


def _download(folder: Folder, entry: Entry, path: Path, record: Path) -> None:
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            for part in _parts(folder, entry):
                file.write(part)
                digest.update(part)
            size = file.tell()
            if size != entry.size:
                raise ModelError(f"{folder.uri}/{entry.key}: {size} bytes came of {entry.size}; it changed meanwhile")
            record.write_text(digest.hexdigest())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _parts(folder: Folder, entry: Entry) -> Iterator[bytes]:
    for start in range(0, entry.size, _PART_BYTES):
        yield folder.read_range(entry.key, start, min(_PART_BYTES, entry.size - start))


def _is_whole(path: Path, record: Path, size: int) -> bool:
    """Whether the file is what was fetched: a full disk or a bad one must not become a wrong model."""
    if not path.is_file() or not record.is_file() or path.stat().st_size != size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == record.read_text()
