"""What every store offers: `Folder`, its `Entry`, and the columns of a listing.

Implemented by `job.stores.local_folder` and `job.stores.bucket`; callers take it from `job.stores.storage`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

LISTING = pa.schema([("key", pa.string()), ("size", pa.int64()), ("etag", pa.string())])
ROWS_PER_TABLE = 10_000
PassOver = Callable[[str, str], None]
"""Told of each thing that a listing passes over: what it is, in the plural, and its key."""


def listing(rows: Sequence[tuple[str, int | None, str]]) -> pa.Table:
    """A table of `LISTING` from rows of key, size and etag."""
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, LISTING, strict=True)], LISTING)


def same_etag(one: str, other: str) -> bool:
    """Azure quotes an etag in every answer but a listing; what a proxy compresses has a weak one."""
    return one.removeprefix("W/").strip('"') == other.removeprefix("W/").strip('"')


def quoted(etag: str) -> str:
    """As a request's header has it; what has no etag stays without."""
    return etag if not etag or etag.startswith(('"', "W/")) else f'"{etag}"'


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: its key below the folder, its size in bytes, and what changes when its content does."""

    key: str
    size: int
    etag: str


class Folder(Protocol):
    """Objects below one URI, by key. Safe to use from several threads."""

    @property
    def uri(self) -> str:
        """As a user would write it, without a slash at its end; local folders are absolute paths."""

    @property
    def is_remote(self) -> bool:
        """Whether a read crosses the network, so that reading ahead pays."""

    def list(self, prefix: str = "", pass_over: PassOver | None = None) -> Iterator[pa.Table]:
        """Every object whose key begins with `prefix`, in bytewise order of the keys.

        But for what cannot be read by its key, or not be looked at, of which `pass_over` is told.

        Yields tables of the columns `LISTING`, `ROWS_PER_TABLE` rows at most, and never holds more than one of them.
        A local file that cannot be looked at (a dangling link) has a null size. Nothing there is no error.
        """

    def folders(self) -> Sequence[str]:
        """The names right below this folder that have objects below them, in bytewise order."""

    def read(self, key: str, etag: str | None = None) -> bytes:
        """The object's bytes. Raises FileNotFoundError, or StoreError once retries are spent.

        Of the object that was listed with `etag`, where it is given: raises ObjectChanged where another is there now.
        """

    def read_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        """Bytes from `start`; fewer than `length` where the object ends. Raises as `read` does."""

    def head(self, key: str, etag: str | None = None) -> Entry | None:
        """The object's size and etag; None where there is none. With an etag, raises ObjectChanged as `read` does."""

    def create(self, key: str, data: bytes) -> str:
        """Write an object that must not exist yet, whole or not at all; its etag. Raises FileExistsError."""

    def put(self, key: str, data: bytes) -> str:
        """Write an object, replacing one that is there, whole or not at all; its etag."""

    def delete(self, key: str) -> None:
        """Remove an object. Nothing there is no error."""
