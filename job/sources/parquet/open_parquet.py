"""How Parquet files are opened: the folder's reads behind pyarrow."""

import pyarrow as pa
import pyarrow.parquet as pq

from job.stores.folder import Folder
from job.stores.range_file import RangeFile

_STREAM_BYTES = 8 << 20


def open_parquet(folder: Folder, key: str, size: int, etag: str | None, stream: bool) -> pq.ParquetFile:
    """A Parquet file; `stream` reads its columns piece by piece, and not a row group's at once."""
    path = f"{folder.uri.removesuffix('/')}/{key}"
    source = RangeFile(folder, key, size, etag) if folder.is_remote else pa.OSFile(path)
    if stream:
        return pq.ParquetFile(source, buffer_size=_STREAM_BYTES, pre_buffer=False)
    return pq.ParquetFile(source, pre_buffer=folder.is_remote)
