"""A folder in a bucket: keys below a prefix, and patience. The requests themselves are `Objects`, one bucket's client.

`open_bucket` makes those; `job.stores.obstore_client` speaks obstore to any store, `job.stores.s3` adds what S3 needs.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import ObjectChanged
from job.stores.folder import Entry, PassOver, same_etag
from job.stores.retry import RetryPolicy, TransientError, retry

_opening = threading.Lock()


class Objects(Protocol):
    """One bucket's requests, by whole key, each tried once.

    Each raises FileNotFoundError, FileExistsError, TransientError or StoreError, with an etag ObjectChanged; only
    `list` and `folders` do their own retries.
    """

    def get(self, key: str, etag: str | None = None) -> bytes: ...
    def get_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes: ...
    def head(self, key: str) -> Entry: ...
    def put(self, key: str, data: bytes, create: bool) -> str: ...
    def list(self, prefix: str, pass_over: PassOver | None = None) -> Iterator[pa.Table]: ...
    def folders(self, prefix: str) -> Sequence[str]: ...
    def delete(self, key: str) -> None: ...


class BucketFolder:
    """Objects of a bucket below a prefix; every operation, request and body together, is retried as the policy says."""

    is_remote = True

    def __init__(self, root: str, prefix: str, objects: Objects, policy: RetryPolicy) -> None:
        """`root` is the bucket's URI; `prefix` has no slash at its end."""
        self.uri = f"{root}/{prefix}" if prefix else root
        self._prefix = prefix + "/" if prefix else ""
        self._objects = objects
        self._policy = policy

    def __repr__(self) -> str:
        return f"BucketFolder({self.uri!r})"

    def list(self, prefix: str = "", pass_over: PassOver | None = None) -> Iterator[pa.Table]:
        for table in self._objects.list(self._prefix + prefix, pass_over):
            keys = pc.utf8_slice_codeunits(table["key"], len(self._prefix))
            table = table.set_column(0, "key", keys)
            # The object that some tools make to show an empty folder.
            yield table.filter(pc.not_equal(keys, "")) if self._prefix else table

    def folders(self) -> Sequence[str]:
        return [each.removeprefix(self._prefix).rstrip("/") for each in self._objects.folders(self._prefix)]

    def read(self, key: str, etag: str | None = None) -> bytes:
        return self._read(key, etag, lambda etag: self._objects.get(self._prefix + key, etag))

    def read_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        if length <= 0:
            return b""
        return self._read(key, etag, lambda etag: self._objects.get_range(self._prefix + key, start, length, etag))

    def head(self, key: str, etag: str | None = None) -> Entry | None:
        try:
            entry = retry(self._policy, self._name(key), lambda: self._objects.head(self._prefix + key))
        except FileNotFoundError:
            return None
        if etag and not same_etag(etag, entry.etag) and not same_etag(self._listed_etag(key) or "", etag):
            raise ObjectChanged(f"{self._name(key)} was changed since it was listed")
        return Entry(key, entry.size, entry.etag)

    def create(self, key: str, data: bytes) -> str:
        may_have_landed = False

        def attempt() -> str:
            nonlocal may_have_landed
            try:
                return self._objects.put(self._prefix + key, data, create=True)
            except TransientError:
                may_have_landed = True
                raise
            except FileExistsError:
                # The answer to our own write may have been lost on the way.
                etag = self._etag_of(key, data) if may_have_landed else None
                if etag is None:
                    raise
                return etag

        return retry(self._policy, self._name(key), attempt)

    def put(self, key: str, data: bytes) -> str:
        return retry(self._policy, self._name(key), lambda: self._objects.put(self._prefix + key, data, create=False))

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            retry(self._policy, self._name(key), lambda: self._objects.delete(self._prefix + key))

    def _read(self, key: str, etag: str | None, get: Callable[[str | None], bytes]) -> bytes:
        try:
            return retry(self._policy, self._name(key), lambda: get(etag))
        except ObjectChanged:
            if etag is None:
                raise
            listed = self._listed_etag(key)
            if listed is None:  # Azurite says of what is gone that the condition is not met
                raise FileNotFoundError(f"{self._name(key)}: no such object") from None
            # A store may write an etag in a listing as in no other answer.
            if not same_etag(listed, etag):
                raise
            return retry(self._policy, self._name(key), lambda: get(None))

    def _listed_etag(self, key: str) -> str | None:
        """The object's etag in a listing, where it is the first of those that begin with its key."""
        first = next((table for table in self._objects.list(self._prefix + key) if table.num_rows), None)
        if first is None or first["key"][0].as_py() != self._prefix + key:
            return None
        return str(first["etag"][0].as_py())

    def _name(self, key: str) -> str:
        return f"{self.uri}/{key}"

    def _etag_of(self, key: str, data: bytes) -> str | None:
        """The object's etag if it holds just these bytes."""
        entry = self._objects.head(self._prefix + key)
        same = entry.size == len(data) and self._objects.get(self._prefix + key) == data
        return entry.etag if same else None


def open_bucket(scheme: str, bucket: str, anonymous: bool, policy: RetryPolicy) -> Objects:
    """The bucket's client, one a process. Raises StoreError where there are no credentials.

    The environment counts: endpoints, regions, profiles and credentials are taken from it.
    """
    names = sorted(name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_")))
    # Without the lock, each of the threads that come first would make a client of its own, at a third of a second.
    with _opening:
        return _open_bucket(scheme, bucket, anonymous, policy, tuple((name, os.environ[name]) for name in names))


@lru_cache(maxsize=64)
def _open_bucket(
    scheme: str, bucket: str, anonymous: bool, policy: RetryPolicy, _environment: tuple[tuple[str, str], ...]
) -> Objects:
    if scheme == "s3":
        from job.stores.s3 import S3Objects

        return S3Objects(bucket, anonymous, policy)
    from job.stores.obstore_client import open_azure, open_google

    return open_google(bucket, anonymous, policy) if scheme == "gs" else open_azure(bucket, anonymous, policy)
