"""Requests through obstore, which spends a tenth of a millisecond of CPU on a GET where boto3 spends more than one.

Used for GCS and Azure as it is, and by `job.stores.s3` for all but listings and odd keys. Knows no retries: what may
pass is raised as `TransientError`.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
import pyarrow as pa
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from job.errors import ObjectChanged, StoreError
from job.stores.folder import ROWS_PER_TABLE, Entry, PassOver, listing, quoted, same_etag
from job.stores.http_listing import HttpListing, Row, list_azure, list_google
from job.stores.refusals import redirected, refusal
from job.stores.retry import RetryPolicy, TransientError

if TYPE_CHECKING:
    from obstore import GetOptions, PutMode
    from obstore.store import AzureConfig, AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

    Store = AzureStore | GCSStore | S3Store
    Build = Callable[[ClientConfig, RetryConfig], Store]

# obstore refuses these keys, or takes the slashes at their ends for something to strip.
_ODD_KEY = re.compile(r"[\x00-\x1f\x7f]|//|(?:^|/)\.{1,2}(?:/|\Z)|^/|/\Z|^\Z")
ODD_KEYS = "keys with an empty or dotted part, or a control character, which are not read from this store"
EMPTY_FOLDERS = "markers of folders"
_ODD_LISTED = "invalid path"
_STATUS = re.compile(r"status code: (\d{3})")
# What S3, Azure and Google answer beside a 404, which alone means the object. An answer to HEAD has no words.
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_LONGEST_BODY = timedelta(minutes=10)


def is_plain(key: str) -> bool:
    """Whether obstore sends this key as it is."""
    return _ODD_KEY.search(key) is None


class ObstoreObjects:
    """One bucket's requests, by whole key, each tried once."""

    def __init__(
        self,
        root: str,
        build: "Build",
        policy: RetryPolicy,
        open_listing: Callable[[], HttpListing | None] | None = None,
    ) -> None:
        """`build` makes the store for given timeouts and retries; `root` is the bucket's URI, for messages.

        `open_listing` gives another way to list, where the credentials allow it, for keys that obstore refuses.
        """
        self._open_listing = open_listing
        self._root = root
        quiet_s = timedelta(seconds=policy.request_timeout_s)
        # Plain HTTP happens only where the user's own endpoint says http://.
        # A large body goes out before the answer comes in, which a read timeout would take for silence.
        writing: ClientConfig = {"allow_http": True, "connect_timeout": quiet_s, "timeout": _LONGEST_BODY}
        reading: ClientConfig = {**writing, "read_timeout": quiet_s}
        self._reader = build(reading, {"max_retries": 0})
        self._writer = build(writing, {"max_retries": 0})
        self._lister = build(reading, {"max_retries": 1_000, "retry_timeout": timedelta(seconds=policy.deadline_s)})

    def get(self, key: str, etag: str | None = None) -> bytes:
        try:
            return self._get(key, etag, {})
        except Exception as error:
            raise self._translate(error, key) from error

    def get_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        try:
            if etag:
                return self._get(key, etag, {"range": (start, start + length)})
            return obstore.get_range(self._reader, self._plain(key), start=start, length=length).to_bytes()
        except Exception as error:
            if _status(error) == 416 or "Wanted range starting at" in str(error):
                return b""  # it starts at the object's end, or behind it
            raise self._translate(error, key) from error

    def head(self, key: str) -> Entry:
        try:
            meta = obstore.head(self._reader, self._plain(key))
        except Exception as error:
            raise self._translate(error, key) from error
        return Entry(key, meta["size"], meta["e_tag"] or "")

    def put(self, key: str, data: bytes, create: bool) -> str:
        try:
            mode: PutMode = "create" if create else "overwrite"
            result = obstore.put(self._writer, self._plain(key), data, mode=mode, use_multipart=False)
        except Exception as error:
            raise self._translate(error, key) from error
        return result["e_tag"] or ""

    def list(self, prefix: str, pass_over: PassOver | None = None) -> Iterator[pa.Table]:
        last = ""
        # A slash that leads a key is stripped by obstore, and seen in the whole bucket's listing alone.
        if prefix or self._open_listing is None or (ours := self._open_listing()) is None:
            try:
                for table in self._list_with_obstore(prefix):
                    last = table["key"][-1].as_py() if table.num_rows else last
                    yield table
                return
            except Exception as error:
                ours = self._open_listing() if self._open_listing and _ODD_LISTED in str(error) else None
                if ours is None:
                    raise self._of_listing(error, prefix) from error
        for page in ours.pages(prefix):
            yield listing([row for row in page if row[0].encode() > last.encode() and _is_taken(row, pass_over)])

    def _list_with_obstore(self, prefix: str) -> Iterator[pa.Table]:
        folder = prefix[: prefix.rfind("/") + 1].rstrip("/")
        for page in obstore.list(self._lister, folder or None, chunk_size=ROWS_PER_TABLE):
            rows = [(meta["path"], meta["size"], quoted(meta["e_tag"] or "")) for meta in page]
            yield listing([row for row in rows if row[0].startswith(prefix)])

    def folders(self, prefix: str) -> Sequence[str]:
        try:
            found = obstore.list_with_delimiter(self._lister, prefix.rstrip("/") or None)["common_prefixes"]
            return sorted((f"{name}/" for name in found), key=str.encode)
        except Exception as error:
            raise self._of_listing(error, prefix) from error

    def delete(self, key: str) -> None:
        try:
            obstore.delete(self._writer, self._plain(key))
        except Exception as error:
            raise self._translate(error, key) from error

    def _get(self, key: str, etag: str | None, options: "GetOptions") -> bytes:
        if etag is None:
            return obstore.get(self._reader, self._plain(key), options=options).bytes().to_bytes()
        answer = obstore.get(self._reader, self._plain(key), options={**options, "if_match": quoted(etag)})
        if not same_etag(etag, answer.meta["e_tag"] or ""):  # the store did not heed the condition
            raise ObjectChanged(f"{self._root}/{key} was changed since it was listed")
        return answer.bytes().to_bytes()

    def _plain(self, key: str) -> str:
        if not is_plain(key):
            odd = "an empty or dotted part, or a control character"
            raise StoreError(f"{self._root}/{key}: a key with {odd} is not read from this store; rename it")
        return key

    def _of_listing(self, error: Exception, prefix: str) -> StoreError:
        """obstore has tried again by itself."""
        if _status(error) == 404:
            return StoreError(f"{self._root}: there is no such bucket")
        if _ODD_LISTED in str(error):
            way_out = "rename it, or list with a key, a SAS or an identity of the cluster"
            detail = str(error).partition("\n")[0]
            return StoreError(f"{self._root}/{prefix} holds a key that cannot be listed; {way_out} ({detail})")
        translated = self._translate(error, prefix)
        where = f"{self._root}/{prefix}: " if isinstance(translated, TransientError) else ""
        return StoreError(f"{where}{translated}")

    def _translate(self, error: Exception, key: str) -> Exception:
        uri = f"{self._root}/{key}"
        if isinstance(error, StoreError):
            return error
        status = _status(error)
        if status == 404 and any(code in str(error) for code in _NO_BUCKET):
            return StoreError(f"{self._root}: there is no such bucket")
        if isinstance(error, FileNotFoundError):
            return FileNotFoundError(f"{uri}: no such object")
        if isinstance(error, PreconditionError):
            return ObjectChanged(f"{uri} was changed since it was listed")
        detail = " ".join(str(error).partition("Debug source:")[0].split())[:400]
        # S3 answers 412 where an object exists and 409 where another writer is at it; Azure answers 409 to the first.
        if isinstance(error, AlreadyExistsError) and (status != 409 or "BlobAlreadyExists" in detail):
            return FileExistsError(f"{uri} exists already")
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            status = status or 403
        if "redirect without LOCATION" in detail:
            return redirected(uri, detail)
        if not isinstance(error, BaseError) or "builder error" in detail:
            return StoreError(f"{uri}: {detail}")
        return refusal(uri, status, _word("Code", error), detail, _word("StorageClass", error))


def open_google(bucket: str, anonymous: bool, policy: RetryPolicy) -> ObstoreObjects:
    """A GCS bucket; obstore finds Google's application default credentials itself."""
    from obstore.store import GCSStore

    def build(client: "ClientConfig", retries: "RetryConfig") -> "Store":
        return GCSStore(bucket, client_options=client, retry_config=retries, skip_signature=anonymous)

    root = _root("gs", bucket, anonymous)
    return _open(root, build, policy, lambda: list_google(root, bucket, anonymous, policy))


def open_azure(container: str, anonymous: bool, policy: RetryPolicy) -> ObstoreObjects:
    """An Azure container, perhaps `CONTAINER@ACCOUNT`; else the account comes from `AZURE_STORAGE_*`.

    Its credentials come from there too, or from a workload identity.
    """
    from obstore.store import AzureStore

    name, _, account = container.partition("@")
    config: AzureConfig = {"account_name": account} if account else {}
    root = f"abfss://{'anonymous@' if anonymous else ''}{container}.dfs.core.windows.net"

    def build(client: "ClientConfig", retries: "RetryConfig") -> "Store":
        return AzureStore(name, config=config, client_options=client, retry_config=retries, skip_signature=anonymous)

    root = root if account else _root("az", container, anonymous)
    account = account or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    return _open(root, build, policy, lambda: list_azure(root, name, account, anonymous, policy))


def _open(
    root: str, build: "Build", policy: RetryPolicy, open_listing: Callable[[], HttpListing | None]
) -> ObstoreObjects:
    try:
        return ObstoreObjects(root, build, policy, open_listing)
    except BaseError as error:
        raise StoreError(f"{root}: {str(error).splitlines()[0]}") from error


def _root(scheme: str, bucket: str, anonymous: bool) -> str:
    return f"{scheme}://{'anonymous@' if anonymous else ''}{bucket}"


def _status(error: Exception) -> int | None:
    """The HTTP status in obstore's text, which has it nowhere else."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def _is_taken(row: Row, pass_over: PassOver | None) -> bool:
    """Whether a listed key can be read through obstore; else it is told of."""
    key, size, _ = row
    if is_plain(key):
        return True
    if pass_over:
        pass_over(EMPTY_FOLDERS if key.endswith("/") and not size else ODD_KEYS, key)
    return False


def _word(tag: str, error: Exception) -> str:
    """A word of the store's own answer, which is XML in obstore's text."""
    found = re.search(f"<{tag}>(\\w+)</{tag}>", str(error))
    return found[1] if found else ""
