"""Which Parquet files a URI means where it may be a table of Delta Lake or Iceberg: the table's own log says it.

Such a folder also holds the files of earlier versions, so its files alone would give deleted rows and rows twice.
"""

import re
from collections.abc import Iterable, Sequence

from job.errors import SourceError, StoreError
from job.sources.container_files import ContainerFile, find_containers
from job.sources.kinds import PARQUET
from job.sources.left_out import LeftOutCounts
from job.sources.ordered_map import ordered_map
from job.sources.parquet.parquet_footers import DataFile
from job.stores.storage import Entry, Folder, open_folder, split_uri

_MARKS = {"Delta": ("_delta_log/", ".json"), "Iceberg": ("metadata/", ".metadata.json"), "Hudi": (".hoodie/", "")}
_WILDCARD = re.compile(r"[*?]|\{\d+\.\.\d+\}")
_EXTRA = "pip install 'tench[tables]'"


def data_files(uri: str, left_out: LeftOutCounts) -> list[DataFile]:
    """The Parquet files of a file, folder, pattern or table. Raises SourceError, also where a part of a table is meant.

    `TABLE/metadata/….metadata.json` is an Iceberg table as that file has it.
    """
    folder_uri, slash, name = uri.rpartition("/metadata/")
    if slash and name.endswith(".metadata.json"):
        return _iceberg(open_folder(folder_uri), left_out, name)
    if not _WILDCARD.search(uri):
        folder = open_folder(uri)
        match table_kind(folder):
            case "Delta":
                return _delta(folder, left_out)
            case "Iceberg":
                return _iceberg(folder, left_out, None)
            case str(kind):
                raise SourceError(f"source.uri: {folder.uri} is a {kind} table, which is not read; copy it to Parquet")
        known = {folder.uri.removesuffix("/")}
    else:
        known = set()
    files = find_containers(uri, PARQUET, left_out)
    _refuse_parts_of_tables(uri, files, known)
    return [DataFile.in_folder(file) for file in files]


def table_kind(folder: Folder) -> str | None:
    """`Delta`, `Iceberg` or `Hudi`, None for a folder that is no table."""
    for kind, (prefix, suffix) in _MARKS.items():
        if any(key.endswith(suffix) for table in folder.list(prefix) for key in table["key"].to_pylist()):
            return kind
    return None


def live_files(folder: Folder, uris: Sequence[str], kind: str, left_out: LeftOutCounts) -> list[ContainerFile]:
    """The files that a table's log names, as they are listed now; counts the Parquet files that it does not name.

    Raises SourceError for one that is not there.
    """
    listed = {entry.key: entry for entry in _parquet_below(folder)}
    root = folder.uri.removesuffix("/") + "/"
    found = list(ordered_map(lambda uri: _locate(uri, folder, root, listed, kind), uris))
    live = {file.key for file in found if file.folder is folder}
    for key in listed:
        if key not in live:
            left_out.add(f"Parquet files that are no part of the {kind} table as it is now", example=key)
    return found


def _parquet_below(folder: Folder) -> Iterable[Entry]:
    for table in folder.list():
        for row in table.to_pylist():
            hidden = any(part.startswith(("_", ".")) and "=" not in part for part in row["key"].split("/"))
            if not hidden and row["size"] is not None and row["key"].lower().endswith(PARQUET):
                yield Entry(**row)


def _locate(uri: str, folder: Folder, root: str, listed: dict[str, Entry], kind: str) -> ContainerFile:
    entry = listed.get(uri.removeprefix(root)) if uri.startswith(root) else None
    if entry is not None:
        return ContainerFile(folder, entry.key, entry.size, entry.etag)
    elsewhere, key = split_uri(uri)
    other = open_folder(elsewhere)
    there = other.head(key)
    if there is None:
        raise SourceError(f"source.uri: the {kind} table at {folder.uri} names {uri}, and there is nothing")
    return ContainerFile(other, key, there.size, there.etag)


def _refuse_parts_of_tables(uri: str, files: Sequence[ContainerFile], known: Iterable[str]) -> None:
    """A pattern, or a folder above or in a table, would find the files of its earlier versions too.

    Files that are named in full are read: they are just those. `known` are folders that are no tables.
    """
    if "{" in uri or all(file.uri == uri for file in files):
        return
    root = files[0].folder.uri.removesuffix("/")
    folders = {root[: -len(each)] for each in _ends_in_a_table(root)}
    for file in files:
        parts = [part for part in file.key.split("/")[:-1] if "=" not in part]
        folders |= {"/".join([root, *parts[:depth]]) for depth in range(len(parts) + 1)}
    for folder, kind in ordered_map(lambda each: (each, _kind_at(each)), sorted(folders - {*known})):
        if kind is not None:
            said = f"{folder} is a table of {kind}, and among its files are those of its earlier versions"
            raise SourceError(f"source.uri: {said}; give the table alone, source.uri: {folder} (got {uri})")


def _ends_in_a_table(root: str) -> Iterable[str]:
    """The ends of a folder's URI, behind which a table may begin: its partitions, and Iceberg's `data`."""
    partitions = re.search(r"(?:/[^/=]+=[^/]*)+$", root)
    if partitions:
        yield partitions[0]
    data = re.search(r"/data(?:/[^/=]+=[^/]*)*$", root)
    if data:
        yield data[0]


def _kind_at(uri: str) -> str | None:
    try:
        return table_kind(open_folder(uri))
    except StoreError:  # above what was asked for nobody need be allowed to look
        return None


def _delta(folder: Folder, left_out: LeftOutCounts) -> list[DataFile]:
    try:
        from job.sources.parquet.delta_table import delta_files
    except ModuleNotFoundError as error:
        raise _no_extra(folder, "Delta", "deltalake") from error
    return delta_files(folder, left_out)


def _iceberg(folder: Folder, left_out: LeftOutCounts, metadata: str | None) -> list[DataFile]:
    try:
        from job.sources.parquet.iceberg_table import iceberg_files
    except ModuleNotFoundError as error:
        raise _no_extra(folder, "Iceberg", "pyiceberg") from error
    return iceberg_files(folder, left_out, metadata)


def _no_extra(folder: Folder, kind: str, package: str) -> SourceError:
    said = f"{folder.uri} is a table of {kind}, whose log {package} reads, and that is not installed"
    return SourceError(f"source.uri: {said}; it is of the extra `tables`: {_EXTRA}")
