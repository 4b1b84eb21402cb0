"""Which objects are images by how they begin, where their names do not say it: one small read each."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pyarrow as pa

from job.errors import StoreError
from job.sources.left_out import LeftOutCounts
from job.sources.magic import HEAD_BYTES, magic_format
from job.stores.storage import Folder

UNREADABLE = "objects that cannot be read to tell what they are"
_THREADS_REMOTE, _THREADS_LOCAL = 32, 4


class ImageContent:
    """Looks into the objects of one folder, in threads."""

    def __init__(self, folder: Folder, pool: ThreadPoolExecutor, left_out: LeftOutCounts) -> None:
        self._folder = folder
        self._pool = pool
        self._left_out = left_out

    @classmethod
    @contextmanager
    def of(cls, folder: Folder, left_out: LeftOutCounts) -> "Iterator[ImageContent]":
        """Closed, no read is left running for long: those that have not begun are dropped."""
        pool = ThreadPoolExecutor(_THREADS_REMOTE if folder.is_remote else _THREADS_LOCAL, "look-into")
        try:
            yield cls(folder, pool, left_out)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def is_image(self, listing: pa.Table) -> pa.Array:
        """Whether each object begins as an image does; an empty one does not."""
        places = zip(listing["key"].to_pylist(), listing["size"].to_pylist(), strict=True)
        return pa.array(self._pool.map(partial(self._look), places), pa.bool_())

    def _look(self, place: tuple[str, int | None]) -> bool:
        key, size = place
        if size == 0:
            return False
        try:
            return magic_format(self._folder.read_range(key, 0, HEAD_BYTES)) is not None
        except (StoreError, FileNotFoundError):
            self._left_out.add(UNREADABLE, example=key)
            return False
