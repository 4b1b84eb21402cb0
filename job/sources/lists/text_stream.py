"""A text file of any size as a stream, unpacked on the way where its name says that it is packed."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pyarrow as pa

from job.errors import SourceError
from job.sources.container_files import ContainerFile
from job.stores.range_file import RangeFile

_WINDOW_BYTES = 4 << 20
_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


def plain_name(name: str) -> str:
    """The name without the ending that says how it is packed, in lower case."""
    name = name.casefold()
    return next((name.removesuffix(suffix) for suffix in _CODECS if name.endswith(suffix)), name)


@contextmanager
def open_stream(file: ContainerFile) -> Iterator[pa.NativeFile]:
    """The file's bytes from the start. Raises FileNotFoundError, and StoreError once retries are spent.

    Raises SourceError for what is not packed as its name says, and for whatever Arrow cannot read in the `with`.
    """
    path = f"{file.folder.uri.removesuffix('/')}/{file.key}"
    if file.folder.is_remote:
        ranges = io.BufferedReader(RangeFile(file.folder, file.key, file.size, file.etag), _WINDOW_BYTES)
        raw: pa.NativeFile = pa.PythonFile(ranges, "r")
    else:
        raw = pa.OSFile(path)
    codec = next((codec for suffix, codec in _CODECS.items() if file.key.casefold().endswith(suffix)), None)
    stream = pa.CompressedInputStream(raw, codec) if codec else raw
    try:
        with raw, stream:
            yield stream
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"source.uri: {file.uri} cannot be read: {error}") from error


@contextmanager
def open_lines(file: ContainerFile) -> Iterator[io.TextIOWrapper]:
    """The file's lines as they are, without a byte order mark. Raises SourceError, also where it is not UTF-8."""
    try:
        with open_stream(file) as stream:
            yield io.TextIOWrapper(cast("io.BufferedReader", stream), encoding="utf-8-sig", newline="\n")
    except UnicodeDecodeError as error:
        raise SourceError(f"source.uri: {file.uri} cannot be read: {error}") from error
