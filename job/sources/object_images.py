"""Images that are objects of their own: one URI, one read. What lies in buckets is read ahead."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import pyarrow as pa

from job.errors import ImageError, ObjectChanged, StoreError
from job.sources.read_ahead import ReadAhead
from job.sources.source import Handle
from job.spec.limits import Limits
from job.stores.storage import Folder, is_bucket, open_folder, split_uri
from job.stores.uris import unescaped

_THREADS = 32
_AHEAD_BYTES = 64 << 20
_GUESSED_BYTES = 256 << 10


def read_objects(rows: pa.Table, limits: Limits) -> Iterator[Handle]:
    """A handle for each row's `uri`, `size` and `etag`, in order. What lies in buckets is read ahead, in threads."""
    opened = lru_cache(maxsize=32)(open_folder)
    uris, sizes, etags = (rows[name].to_pylist() for name in ("uri", "size", "etag"))
    images = [partial(read_object, opened, *row, limits) for row in zip(uris, sizes, etags, strict=True)]
    remote = [index for index, uri in enumerate(uris) if is_bucket(uri)]
    if not remote:
        yield from images
        return
    costs = [_GUESSED_BYTES if (size := sizes[index]) is None else min(size, limits.max_bytes) for index in remote]
    ahead = ReadAhead(lambda unit: images[remote[unit]](), costs, [1] * len(remote), _THREADS, _AHEAD_BYTES)
    units = {index: unit for unit, index in enumerate(remote)}
    try:
        for index, image in enumerate(images):
            yield partial(ahead.take, units[index]) if index in units else image
    except GeneratorExit:
        ahead.close()
        raise


def read_object(opened: Callable[[str], Folder], uri: str, size: int | None, etag: str | None, limits: Limits) -> bytes:
    """One image's bytes, of a size and an etag that need not be known. Raises ImageError."""
    if not uri.strip():
        raise ImageError("missing", "the row names no image")
    limits.check_size(size)
    try:
        root, key = split_uri(uri)
        data = _read_key(opened(root), key, size, etag, limits)
    except FileNotFoundError:
        raise ImageError("missing", "there is no such object") from None
    except ObjectChanged as error:
        raise ImageError("changed", str(error)) from error
    except StoreError as error:
        raise ImageError("unreadable", str(error)) from error
    if size is None and len(data) > limits.max_bytes:
        raise ImageError("too-large", f"more than {limits.max_bytes:,} bytes (errors.max_bytes)")
    limits.check_size(len(data))
    return data


def _read_key(folder: Folder, key: str, size: int | None, etag: str | None, limits: Limits) -> bytes:
    # Of an unknown size, one byte more than may be is enough to know.
    length = None if size is not None else limits.max_bytes + 1
    try:
        return folder.read(key, etag) if length is None else folder.read_range(key, 0, length, etag)
    except FileNotFoundError:
        plain = unescaped(key)
        if length is None or plain == key:
            raise
        # No listing gave this key. Spark's input_file_name() and others escape what they write into a table.
        return folder.read_range(plain, 0, length)
