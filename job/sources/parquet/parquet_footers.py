"""What the footers of Parquet files tell before a row is read: where each column that was asked for comes from.

A footer is a request and some memory, so they are read in threads, and of each only what the rows need is kept.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import SourceError
from job.sources.container_files import ContainerFile
from job.sources.ordered_map import ordered_map
from job.sources.parquet.open_parquet import open_parquet
from job.sources.parquet.parquet_columns import (
    Column,
    find_column,
    holds_anything,
    holds_bytes,
    holds_scalars,
    holds_text,
    path_column,
)
from job.sources.parquet.partitions import partition_values
from job.spec.spec import ParquetSource

# A column of nulls takes a few bytes; reading as many is cheaper than to miss that it is one.
_CHEAP_BYTES = 64 << 10
_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of the source, and what is known of it besides: from a table's log, or from its folders' names."""

    file: ContainerFile
    partitions: Mapping[str, pa.Scalar]
    # Of folder names alone nobody knows whether 7 is a number.
    are_typed: bool = False
    # Which of its rows are not deleted; None: all of them.
    live: pa.BooleanArray | None = None
    # An Iceberg table's top columns, by name: a file may have them under another.
    field_ids: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def in_folder(cls, file: ContainerFile) -> "DataFile":
        values = partition_values(file.uri)
        return cls(file, {name: pa.scalar(value, pa.string()) for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class Footer:
    """Of one file: the rows of its row groups, and by name the column, the same value for all rows, or None."""

    data: DataFile
    groups: Sequence[int]
    image: Column | None
    columns: Mapping[str, Column | pa.Scalar | None]
    class_names: Sequence[str] | None = None
    # The row groups whose images are all paths of files elsewhere.
    path_groups: frozenset[int] = field(default_factory=frozenset)

    @property
    def rows(self) -> int:
        """How many are not deleted."""
        return sum(self.groups) if self.data.live is None else int(self.data.live.true_count)


@dataclass(frozen=True)
class Asked:
    """A column that the spec names: the key that names it, and what it must hold."""

    key: str
    name: str
    is_right: Callable[[pa.DataType], bool]
    holds: str

    @property
    def may_lack(self) -> bool:
        """Whether a file without it has nulls, where another file has the column."""
        return self.key in ("label_from", "keep")


def asked_columns(spec: ParquetSource) -> tuple[Asked | None, list[Asked]]:
    """The image column, None where images are URIs; and the others."""
    others = [Asked("keep", name, holds_anything, "") for name in spec.keep]
    if spec.label_from != "none":
        others.insert(0, Asked("label_from", spec.label_from, holds_scalars, "texts or numbers"))
    if spec.uri_column:
        return None, [Asked("uri_column", spec.uri_column, holds_text, "text"), *others]
    return Asked("image_column", spec.image_column or "image", holds_bytes, "bytes or {bytes, path}"), others


def read_footers(spec: ParquetSource, files: Sequence[DataFile]) -> list[Footer]:
    """Those of the files in their order, up to the one that has enough rows for the spec's limit.

    Raises SourceError for what is no Parquet file, and for a column that is not there or not of a type that will do.
    """
    image, others = asked_columns(spec)
    footers: list[Footer] = []
    rows = 0
    for footer in ordered_map(lambda data: _read(data, image, others, spec.label_from), files):
        footers.append(footer)
        rows += footer.rows
        if spec.limit is not None and rows >= spec.limit:
            break
    for asked in others:
        if all(footer.columns[asked.name] is None for footer in footers):
            with _opened(footers[0].data.file) as parquet:
                raise _not_there(asked, footers[0].data.file, parquet.schema_arrow, "no")
    return footers


def _read(data: DataFile, image: Asked | None, others: Sequence[Asked], label: str) -> Footer:
    file = data.file
    try:
        with _opened(file) as parquet:
            schema = parquet.schema_arrow
            image_column = None if image is None else _image(image, schema, data)
            columns = {asked.name: _find(asked, schema, data) for asked in others}
            groups = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
            paths = _path_groups(parquet, image_column) if image_column is not None else frozenset()
            names = class_names(schema, label)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file.uri}: not a Parquet file that can be read: {error}") from error
    return Footer(data, groups, image_column, columns, names, paths)


def _opened(file: ContainerFile) -> pq.ParquetFile:
    return open_parquet(file.folder, file.key, file.size, file.etag, stream=False)


def _image(asked: Asked, schema: pa.Schema, data: DataFile) -> Column:
    found = _find(asked, schema, data)
    if not isinstance(found, Column):
        raise _not_there(asked, data.file, schema, "no")
    if asked.name not in (found.path[0], ".".join(found.path)):
        said = f"{data.file.uri} has {asked.name!r} under its earlier name {found.path[0]!r}"
        raise SourceError(f"source.{asked.key}: {said}; rewrite the table's files, so that all have the name of now")
    return found


def _find(asked: Asked, schema: pa.Schema, data: DataFile) -> Column | pa.Scalar | None:
    file = data.file
    try:
        found = _renamed(asked.name, schema, data.field_ids) or find_column(schema, asked.name)
    except ValueError as error:
        raise _not_there(asked, file, schema, str(error)) from None
    except KeyError:
        found = None
    if found is None and asked.name in data.partitions and asked.key != "image_column":
        return data.partitions[asked.name]
    if found is None and not asked.may_lack:
        raise _not_there(asked, file, schema, "no")
    if found is not None and not asked.is_right(found.type):
        said = f"{asked.name!r} must hold {asked.holds}, not {found.type}, as in {file.uri}"
        raise SourceError(f"source.{asked.key}: {said}")
    return found


def _renamed(name: str, schema: pa.Schema, field_ids: Mapping[str, int]) -> Column | None:
    """The column that has the id of the table's; None where ids tell nothing. Raises KeyError where none has it."""
    wanted = field_ids.get(name)
    ids = {int(column.metadata[_FIELD_ID]): column for column in schema if _FIELD_ID in (column.metadata or {})}
    if wanted is None or not ids:
        return None
    return Column((ids[wanted].name,), ids[wanted])


def _not_there(asked: Asked, file: ContainerFile, schema: pa.Schema, often: str) -> SourceError:
    columns = ", ".join(schema.names)
    return SourceError(f"source.{asked.key}: {file.uri} has {often} column {asked.name!r}; its columns are {columns}")


def class_names(schema: pa.Schema, column: str) -> Sequence[str] | None:
    """The names of a Hugging Face ClassLabel column, which `datasets` keeps in the schema's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[column]["names"]]
    except (KeyError, TypeError, ValueError):
        return None


def _path_groups(parquet: pq.ParquetFile, image: Column) -> frozenset[int]:
    """The row groups of a Hugging Face column that hold no bytes, and paths in their place."""
    if path_column(image) is None:
        return frozenset()
    selector = f"{image.selector}.bytes"
    return frozenset(group for group in range(parquet.num_row_groups) if _all_null(parquet, group, selector))


def _all_null(parquet: pq.ParquetFile, group: int, selector: str) -> bool:
    chunks = parquet.metadata.row_group(group)
    chunk = next(each for each in map(chunks.column, range(chunks.num_columns)) if each.path_in_schema == selector)
    if chunk.statistics is not None and chunk.statistics.has_null_count:
        return bool(chunk.statistics.null_count == chunk.num_values > 0)
    if chunk.total_uncompressed_size > _CHEAP_BYTES + chunk.num_values // 8:
        return False
    table = parquet.read_row_group(group, columns=[selector])
    column = table.column(0).combine_chunks()
    while pa.types.is_struct(column.type):
        column = column.flatten()[0]
    return bool(column.null_count == len(column) > 0)
