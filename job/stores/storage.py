"""The one way to bytes: a URI of a bucket or a local path, in any of the forms of `uris`, becomes a `Folder`.

Sources, the plan, the sink, labels and weights all read and write through it. It knows nothing of images or runs.
Buckets are read with obstore; `boto3`, which takes a third of a second to load, only where an S3 bucket needs it.
"""

import os
import re

from job.errors import StoreError
from job.stores.folder import LISTING, ROWS_PER_TABLE, Entry, Folder
from job.stores.retry import RetryPolicy
from job.stores.uris import BucketUri, canonical, split_bucket

__all__ = [
    "LISTING",
    "ROWS_PER_TABLE",
    "Entry",
    "Folder",
    "RetryPolicy",
    "is_bucket",
    "open_folder",
    "read_uri",
    "split_uri",
]


def open_folder(uri: str, policy: RetryPolicy | None = None) -> Folder:
    """The folder at `uri`, which need not exist. Raises StoreError where the URI or the credentials are wrong."""
    bucket = _split_bucket(uri)
    if bucket is None:
        from job.stores.local_folder import LocalFolder

        return LocalFolder(_absolute(canonical(uri)))
    from job.stores.bucket import BucketFolder, open_bucket

    policy = policy or RetryPolicy.from_environment()
    objects = open_bucket(bucket.scheme, bucket.bucket, bucket.anonymous, policy)
    return BucketFolder(bucket.root, bucket.key.rstrip("/"), objects, policy)


def split_uri(uri: str) -> tuple[str, str]:
    """An object's URI as the URI of its bucket (or local folder) and its key there; the key is taken as it is.

    "s3://anonymous@b/k x.jpg" gives "s3://anonymous@b" and "k x.jpg"; "~/k x.jpg" its absolute folder and "k x.jpg".
    """
    bucket = _split_bucket(uri)
    if bucket is not None:
        return bucket.root, bucket.key
    folder, name = os.path.split(_absolute(canonical(uri)))
    return folder, name


def read_uri(uri: str) -> bytes:
    """One object's bytes. Raises FileNotFoundError, or StoreError once retries are spent."""
    root, key = split_uri(uri)
    return open_folder(root).read(key)


def is_bucket(uri: str) -> bool:
    """Whether a URI points into a bucket; what is no path and no bucket's URI does not."""
    try:
        return split_bucket(uri) is not None
    except ValueError:
        return False


def _split_bucket(uri: str) -> BucketUri | None:
    """The parts of a bucket's URI, None for a path. Raises StoreError."""
    try:
        return split_bucket(uri)
    except ValueError as error:
        raise StoreError(f"{_without_user(uri)}: {error}") from error


def _without_user(uri: str) -> str:
    """For a message: what stands before an @ may be a secret key."""
    return re.sub(r"(?<=://)[^/]*@", "…@", uri)


def _absolute(path: str) -> str:
    """Raises StoreError for what has no URI: a name that is not UTF-8, or has a NUL."""
    absolute = os.path.abspath(os.path.expanduser(path))
    if "\0" in absolute:
        raise StoreError(f"{path!r} has a NUL character, which no path can have")
    try:
        absolute.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"{absolute!r} is not UTF-8, so it has no URI; rename it") from error
    return absolute
