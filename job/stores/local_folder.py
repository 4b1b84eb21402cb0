"""A folder of this machine's file system, through plain `os` calls, so that any name works that a file can have."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import ObjectChanged, SourceError, StoreError
from job.stores.create_only import give_new_name
from job.stores.folder import ROWS_PER_TABLE, Entry, PassOver, listing

FolderId = tuple[int, int]
CLOSED_FOLDERS = "folders that cannot be opened"
CLOSED_FILES = "files that cannot be looked at"
LOOPS = "links to a folder that they are in"
NO_FILES = "pipes, sockets and devices"
_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class LocalFolder:
    """Files below a path. A key is the path from there, with `/` between folders.

    Links are followed, to files and to folders, but not to a folder that they are in.
    """

    is_remote = False

    def __init__(self, path: str) -> None:
        self.uri = path

    def __repr__(self) -> str:
        return f"LocalFolder({self.uri!r})"

    def list(self, prefix: str = "", pass_over: PassOver | None = None) -> Iterator[pa.Table]:
        """As every `Folder` does. With `pass_over` it goes on past what this user may not open; else it raises."""
        top = prefix[: prefix.rfind("/") + 1]
        keys = _walk(self.uri, top, prefix, frozenset(), pass_over)
        while batch := list(islice(keys, ROWS_PER_TABLE)):
            yield listing([(key, *entry) for key in batch if (entry := self._listed(key, pass_over)) is not None])

    def _listed(self, key: str, pass_over: PassOver | None) -> tuple[int | None, str] | None:
        try:
            entry = _stat(self._path(key))
        except StoreError as error:
            if pass_over is None or not isinstance(error.__cause__, PermissionError):
                raise
            pass_over(CLOSED_FILES, key)
            return None
        if entry is None and pass_over:
            pass_over(NO_FILES, key)
        return entry

    def folders(self) -> Sequence[str]:
        try:
            names = _sorted_names(self.uri).to_pylist()
        except OSError as error:
            if error.errno in _NOTHING_THERE:
                return []
            raise _translate(error, self.uri) from error
        return [name[:-1] for name in names if name.endswith("/")]

    def read(self, key: str, etag: str | None = None) -> bytes:
        path = self._path(key)
        try:
            with open(path, "rb", buffering=0) as file:
                data = file.read()
                _check_unchanged(path, etag, _etag(os.fstat(file.fileno())))
                return data
        except OSError as error:
            raise _translate(error, path) from error

    def read_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                file.seek(start)
                data = file.read(length)
                _check_unchanged(path, etag, _etag(os.fstat(file.fileno())))
                return data
        except OSError as error:
            raise _translate(error, path) from error

    def head(self, key: str, etag: str | None = None) -> Entry | None:
        entry = _stat(self._path(key))
        if entry is None or entry[0] is None:
            return None
        _check_unchanged(self._path(key), etag, entry[1])
        return Entry(key, entry[0], entry[1])

    def create(self, key: str, data: bytes) -> str:
        path = self._path(key)
        temporary = self._write_beside(path, data)
        try:
            give_new_name(temporary, path)
            return _etag(os.stat(path))
        except OSError as error:
            raise _translate(error, path) from error
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)

    def check_creates(self) -> None:
        """Writes a file into the folder, which is there, and removes it. Raises StoreError where `create` cannot do."""
        path = self._path(f".tench-{secrets.token_hex(8)}.tmp")
        try:
            self.create(os.path.basename(path), b"")
        finally:
            with suppress(OSError):
                os.unlink(path)

    def put(self, key: str, data: bytes) -> str:
        path = self._path(key)
        temporary = self._write_beside(path, data)
        try:
            os.replace(temporary, path)
            return _etag(os.stat(path))
        except OSError as error:
            os.unlink(temporary)
            raise _translate(error, path) from error

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            os.unlink(path)
            self._remove_empty(os.path.dirname(path))
        except OSError as error:
            if error.errno not in _NOTHING_THERE:
                raise _translate(error, path) from error

    def _remove_empty(self, folder: str) -> None:
        """As in a bucket, a folder without objects is none."""
        with suppress(OSError):  # the first that is not empty
            while folder.startswith(self.uri):
                os.rmdir(folder)
                folder = os.path.dirname(folder)

    def _path(self, key: str) -> str:
        return f"{self.uri.removesuffix('/')}/{key}"

    def _write_beside(self, path: str, data: bytes) -> str:
        """A new file in the same folder, under a name of its own."""
        folder = os.path.dirname(path)
        temporary = f"{folder}/.tench-{secrets.token_hex(8)}.tmp"
        try:
            os.makedirs(folder, exist_ok=True)
            with open(temporary, "xb", buffering=0) as file:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
        except OSError as error:
            if os.path.exists(temporary):
                os.unlink(temporary)
            if error.errno in (errno.ENOTDIR, errno.EEXIST):  # the names of `temporary` are never taken
                raise StoreError(f"{path} cannot be written: one of the folders that it names is a file") from error
            raise _translate(error, path) from error
        return temporary


def _walk(root: str, folder: str, prefix: str, above: frozenset[FolderId], pass_over: PassOver | None) -> Iterator[str]:
    """Keys of the files below `folder` (a key that ends with a slash, or "") that begin with `prefix`."""
    path = f"{root.removesuffix('/')}/{folder}"
    try:
        status = os.stat(path)
        names = _sorted_names(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if isinstance(error, PermissionError) and pass_over and above:
            pass_over(CLOSED_FOLDERS, folder)
            return
        raise _translate(error, path) from error
    here = (status.st_dev, status.st_ino)
    if here in above:
        if pass_over:
            pass_over(LOOPS, folder)
        return
    for start in range(0, len(names), ROWS_PER_TABLE):
        for name in names[start : start + ROWS_PER_TABLE].to_pylist():
            key = folder + name
            if not key.startswith(prefix) and not (name.endswith("/") and prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from _walk(root, key, prefix, above | {here}, pass_over)
            else:
                yield key


def _sorted_names(path: str) -> pa.Array:
    """A folder's names in bytewise order, as one Arrow array, so that a million cost their bytes alone.

    A folder's name ends with a slash, which puts it where its files' keys stand in the order of all keys.
    """
    chunks: list[pa.Array] = []
    names: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            names.append(entry.name + "/" if _is_folder(entry) else entry.name)
            if len(names) == ROWS_PER_TABLE:
                chunks.append(_strings(names, path))
                names = []
    chunks.append(_strings(names, path))
    array = pa.concat_arrays(chunks)
    return array.take(pc.sort_indices(array))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        # A link that leads nowhere, or into a folder that is closed: as a file it is looked at once more.
        if error.errno == errno.ELOOP or isinstance(error, PermissionError):
            return False
        raise _translate(error, entry.path) from error


def _strings(names: list[str], path: str) -> pa.Array:
    try:
        return pa.array(names, pa.large_string())
    except UnicodeEncodeError:
        bad = next(name for name in names if not name.isascii() and _is_undecodable(name))
        raise SourceError(
            f"{path}: a file name is not UTF-8, so it has no URI: {os.fsencode(bad)!r}; rename it"
        ) from None


def _is_undecodable(name: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in name)


def _stat(path: str) -> tuple[int | None, str] | None:
    """Size and etag; a null size where nothing is there to look at, None for what is not a file."""
    try:
        status = os.stat(path)
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return None, ""
        raise _translate(error, path) from error
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_size, _etag(status)


def _etag(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _check_unchanged(path: str, listed: str | None, now: str) -> None:
    """Raises ObjectChanged where size or time of change are others; a copy on another node has its own inode.

    Called after the read: what was written into the file meanwhile shows too.
    """
    if listed and _without_inode(listed) != _without_inode(now):
        raise ObjectChanged(f"{path} was changed since it was listed")


def _without_inode(etag: str) -> str:
    return etag.partition("-")[2]


def _translate(error: OSError, path: str) -> Exception:
    """The promised exceptions pass; the rest becomes a StoreError."""
    if isinstance(error, FileExistsError):
        return FileExistsError(f"{path} exists already")
    if error.errno in _NOTHING_THERE:
        return FileNotFoundError(f"{path}: no such file")
    return StoreError(f"{path}: {error.strerror or error}")
