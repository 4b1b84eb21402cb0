"""The files of a Delta table as it is now. Needs `deltalake`, of the extra `tables`; imported only where one is read.

deltalake gets a copy of the log, so that it needs no access of its own to the bucket and the store's patience counts.
"""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from job.errors import SourceError
from job.sources.left_out import LeftOutCounts
from job.sources.ordered_map import ordered_map
from job.sources.parquet.parquet_footers import DataFile
from job.sources.parquet.tables import live_files
from job.stores.storage import Folder

_LOG = "_delta_log/"
_PARTITION = "partition."
_VERSION = re.compile(r"(\d{20})\.")
_DELETION_VECTOR = re.compile(r"(?:.*/)?deletion_vector_[^/]*\.bin")


def delta_files(folder: Folder, left_out: LeftOutCounts) -> list[DataFile]:
    """The table's files, with their partitions' values and without the rows that deletion vectors delete.

    Raises SourceError where the log cannot be read, or columns are named in the files otherwise than in the table.
    """
    with tempfile.TemporaryDirectory(prefix="tench-delta-") as copy:
        _copy(folder, copy, _log_keys(folder))
        try:
            table = DeltaTable(copy)
            _check_names(folder, table)
            actions = pa.table(table.get_add_actions(flatten=True))
            masks = _live_rows(folder, table, copy)
        except (DeltaError, OSError, ValueError) as error:
            raise SourceError(
                f"source.uri: the log of the Delta table at {folder.uri} cannot be read: {error}"
            ) from error
    actions = actions.sort_by("path")
    keys = [unquote(path) for path in actions["path"].to_pylist()]
    uris = [key if _is_absolute(key) else f"{folder.uri.removesuffix('/')}/{key}" for key in keys]
    partitions = [name for name in actions.column_names if name.startswith(_PARTITION)]
    return [
        DataFile(
            file,
            {name.removeprefix(_PARTITION): actions[name][row] for name in partitions},
            are_typed=True,
            live=masks.get(keys[row]),
        )
        for row, file in enumerate(live_files(folder, uris, "Delta", left_out))
    ]


def _log_keys(folder: Folder) -> list[str]:
    """What of the log the current version needs: its last checkpoint, and what was written since."""
    keys = [_LOG + key.removeprefix(_LOG) for table in folder.list(_LOG) for key in table["key"].to_pylist()]
    first = 0
    if f"{_LOG}_last_checkpoint" in keys:
        first = json.loads(folder.read(f"{_LOG}_last_checkpoint"))["version"]
    return [key for key in keys if (found := _VERSION.match(key.removeprefix(_LOG))) is None or int(found[1]) >= first]


def _copy(folder: Folder, to: str, keys: list[str]) -> None:
    def copy(key: str) -> None:
        path = os.path.join(to, *key.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(folder.read(key))

    for _ in ordered_map(copy, keys):
        pass


def _check_names(folder: Folder, table: DeltaTable) -> None:
    fields = json.loads(table.schema().to_json())["fields"]
    renamed = [
        field["name"]
        for field in fields
        if field["metadata"].get("delta.columnMapping.physicalName", field["name"]) != field["name"]
    ]
    if renamed:
        raise SourceError(
            f"source.uri: the Delta table at {folder.uri} maps columns ({', '.join(renamed)}) to other names in its "
            "files, which is not read; write it anew without delta.columnMapping"
        )


def _live_rows(folder: Folder, table: DeltaTable, copy: str) -> Mapping[str, pa.BooleanArray]:
    """By the file's key, which of its rows are not deleted; nothing for a file without a deletion vector."""
    if "deletionVectors" not in (table.protocol().reader_features or []):
        return {}
    vectors = [key for listed in folder.list() for key in listed["key"].to_pylist() if _DELETION_VECTOR.fullmatch(key)]
    _copy(folder, copy, vectors)
    found = pa.table(table.deletion_vectors().read_all())
    root = os.path.realpath(copy) + "/"
    paths = [unquote(urlsplit(uri).path) for uri in found["filepath"].to_pylist()]
    masks = [found["selection_vector"][row].values for row in range(found.num_rows)]
    return {
        os.path.realpath(path).removeprefix(root): pa.array(mask.to_pylist(), pa.bool_())
        for path, mask in zip(paths, masks, strict=True)
    }


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or "://" in path
