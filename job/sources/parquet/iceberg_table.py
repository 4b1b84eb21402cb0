"""The files of an Iceberg table as it is now. Needs `pyiceberg`, of the extra `tables`; imported where one is read.

There is no catalog here that says which metadata file counts: the highest does, or the one that the spec names.
"""

import io
import re
from collections.abc import Sequence
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile
from pyiceberg.manifest import DataFile as IcebergFile
from pyiceberg.manifest import DataFileContent
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import FileScanTask, StaticTable

from job.errors import SourceError
from job.sources.left_out import LeftOutCounts
from job.sources.parquet.parquet_footers import DataFile
from job.sources.parquet.tables import live_files
from job.stores.storage import Folder, open_folder, read_uri, split_uri

_DELETE = ["file_path", "pos"]
_METADATA = re.compile(r"v?(\d+)(?:-[^/]*)?(?:\.gz)?\.metadata\.json")
_BUCKET = re.compile(r"(?:s3|s3a|s3n)://(.*)", re.DOTALL)


def iceberg_files(folder: Folder, left_out: LeftOutCounts, metadata: str | None) -> list[DataFile]:
    """The table's files of its current snapshot; `metadata` is the name of a file in `metadata/`.

    Rows that position deletes delete are none. Raises SourceError where rows are deleted in another way, and for a
    file that is not Parquet.
    """
    location = f"{folder.uri.removesuffix('/')}/metadata/{metadata or _newest(folder)}"
    files = StoreIO(folder.uri)
    try:
        # Not by StaticTable.from_metadata: there the table's own properties name the Python class that reads it.
        table = StaticTable(
            identifier=("table",),
            metadata=FromInputFile.table_metadata(files.new_input(location)),
            metadata_location=location,
            io=files,
            catalog=NoopCatalog("none"),
        )
        tasks = list(table.scan().plan_files())
    except (FileNotFoundError, ValueError, KeyError, NotImplementedError) as error:
        raise SourceError(f"source.uri: the Iceberg table at {location} cannot be read: {error}") from error
    _check(tasks, location)
    tasks = sorted(tasks, key=lambda task: task.file.file_path)
    field_ids = {field.name: field.field_id for field in table.schema().fields}
    masks = _live_rows(tasks, files)
    found = live_files(folder, [files.uri_of(task.file.file_path) for task in tasks], "Iceberg", left_out)
    return [
        DataFile(file, DataFile.in_folder(file).partitions, live=masks.get(task.file.file_path), field_ids=field_ids)
        for task, file in zip(tasks, found, strict=True)
    ]


class StoreIO(FileIO):
    """pyiceberg's reads, through this package's stores: their credentials, their patience."""

    def __init__(self, table_uri: str) -> None:
        super().__init__()
        self._root = split_uri(f"{table_uri}/x")[0]

    def new_input(self, location: str) -> InputFile:
        return _Input(location, self.uri_of(location))

    def new_output(self, location: str) -> OutputFile:
        raise NotImplementedError("tables are only read")

    def delete(self, location: str | InputFile | OutputFile) -> None:
        raise NotImplementedError("tables are only read")

    def uri_of(self, location: str) -> str:
        """A location as this package writes it; what lies in the table's own bucket is read as the table is."""
        if location.startswith("file:"):
            return "/" + location.removeprefix("file:").lstrip("/")
        bucket = _BUCKET.fullmatch(location)
        if bucket is None:
            return location
        own = self._root.removeprefix("s3://anonymous@")
        anonymous = "anonymous@" if own != self._root and bucket[1].partition("/")[0] == own else ""
        return f"s3://{anonymous}{bucket[1].removeprefix('anonymous@')}"


class _Input(InputFile):
    def __init__(self, location: str, uri: str) -> None:
        super().__init__(location)
        self._uri = uri

    def __len__(self) -> int:
        return len(read_uri(self._uri))

    def exists(self) -> bool:
        root, key = split_uri(self._uri)
        return open_folder(root).head(key) is not None

    def open(self, seekable: bool = True) -> InputStream:
        return io.BytesIO(read_uri(self._uri))


def _newest(folder: Folder) -> str:
    """The name of the metadata file that is the table's, as far as a folder can tell."""
    names = [key.removeprefix("metadata/") for table in folder.list("metadata/") for key in table["key"].to_pylist()]
    if "version-hint.text" in names:
        hint = folder.read("metadata/version-hint.text").decode().strip()
        hinted = [name for name in names if name in (hint, f"{hint}.metadata.json", f"v{hint}.metadata.json")]
        if hinted:
            return str(hinted[0])
    versions = {name: int(found[1]) for name in names if (found := _METADATA.fullmatch(name))}
    if not versions:
        raise SourceError(f"source.uri: none of the metadata files in {folder.uri}/metadata/ has a version in its name")
    newest = [name for name, version in versions.items() if version == max(versions.values())]
    if len(newest) > 1:
        said = f"{folder.uri}/metadata/ holds two newest versions, of which the catalog knows the right one"
        raise SourceError(f"source.uri: {said}; name it as source.uri: {' or '.join(newest)}")
    return str(newest[0])


def _check(tasks: Sequence[FileScanTask], location: str) -> None:
    deletes = {file.file_path: file for task in tasks for file in task.delete_files}
    unread = [path for path, file in deletes.items() if not _is_position_delete(file)]
    if unread:
        raise SourceError(
            f"source.uri: the Iceberg table at {location} deletes rows in a way that is not read, by {unread[0]}; "
            "compact it first (Spark: CALL system.rewrite_data_files)"
        )
    others = [task.file for task in tasks if not _is_parquet(task.file)]
    if others:
        kind = others[0].file_format.value
        raise SourceError(f"source.uri: {others[0].file_path} of an Iceberg table is {kind}; Parquet is read")


def _live_rows(tasks: Sequence[FileScanTask], files: "StoreIO") -> dict[str, pa.BooleanArray]:
    """By data file, which of its rows no position delete names; nothing for a file without any."""
    masks: dict[str, pa.BooleanArray] = {}
    read = lru_cache(maxsize=8)(lambda path: pq.read_table(io.BytesIO(read_uri(files.uri_of(path))), columns=_DELETE))
    for task in tasks:
        path = task.file.file_path
        found = [read(file.file_path) for file in task.delete_files]
        deleted = [table["pos"].filter(pc.equal(table["file_path"], path)).combine_chunks() for table in found]
        if any(len(each) for each in deleted):
            rows = pa.array(range(task.file.record_count), pa.int64())
            masks[path] = pc.invert(pc.is_in(rows, pa.concat_arrays(deleted)))
    return masks


def _is_position_delete(file: IcebergFile) -> bool:
    return file.content == DataFileContent.POSITION_DELETES and _is_parquet(file)


def _is_parquet(file: IcebergFile) -> bool:
    return str(file.file_format.value).upper() == "PARQUET"
