"""One object as a seekable file: what Parquet and tar readers want, over range reads."""

import io
from typing import TYPE_CHECKING

from job.stores.folder import Folder

if TYPE_CHECKING:
    from typing_extensions import Buffer


class RangeFile(io.RawIOBase):
    """Reads only what is asked for, a request each; wrap it in `io.BufferedReader` to read ahead."""

    def __init__(self, folder: Folder, key: str, size: int | None = None, etag: str | None = None) -> None:
        """`size` in bytes spares the question for it; `etag` binds reads to that object. Raises FileNotFoundError."""
        if size is None:
            entry = folder.head(key)
            if entry is None:
                raise FileNotFoundError(f"{folder.uri}/{key}")
            size = entry.size
        self._folder, self._key, self._size, self._etag = folder, key, size, etag
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._position)
        length = left if size is None or size < 0 else min(size, left)
        data = self._folder.read_range(self._key, self._position, length, self._etag) if length else b""
        self._position += len(data)
        return data

    def readinto(self, buffer: "Buffer", /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
