"""Rows of Parquet files that hold encoded images, or their URIs. Listing reads the columns it needs, no images."""

import json
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.errors import SourceError
from job.sources.container_files import ContainerFile, find_containers
from job.sources.kinds import PARQUET
from job.sources.label_names import by_index, rename
from job.sources.left_out import LeftOutCounts
from job.sources.object_images import read_objects
from job.sources.parquet_images import open_parquet, read_images
from job.sources.relative_uris import resolve
from job.sources.source import OFFSET_FIELD, ROW_FIELDS, Handle
from job.spec.limits import Limits
from job.spec.spec import ParquetSource
from job.stores.folder import ROWS_PER_TABLE


class ParquetReader:
    """One row a row: of `image_column` its URI is `FILE#ROW`; of `uri_column`, the column's, which may repeat."""

    def __init__(self, spec: ParquetSource, limits: Limits) -> None:
        self._spec = spec
        self._limits = limits
        self._image_column = None if spec.uri_column else spec.image_column or "image"
        self._label_column = None if spec.label_from == "none" else spec.label_from

    def rows(self, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        files = find_containers(self._spec.uri, PARQUET, left_out)
        layout: pa.Schema | None = None
        rows = 0
        for file in files:
            try:
                with open_parquet(file.folder, file.key, file.size, file.etag, stream=False) as parquet:
                    found = self._layout(parquet.schema_arrow, file)
                    layout = layout or found
                    _check_same(found, file, layout, files[0])
                    for table in self._file_rows(parquet, file, layout):
                        rows += table.num_rows
                        yield table
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"{file.uri}: not a Parquet file that can be read: {error}") from error
        if not rows:
            raise SourceError(f"source.uri: no rows in {len(files):,} Parquet files at {self._spec.uri}")

    def read(self, rows: pa.Table) -> Iterator[Handle]:
        if self._image_column is None:
            return read_objects(rows, self._limits)
        return read_images(rows, self._image_column, self._limits)

    def _layout(self, schema: pa.Schema, file: ContainerFile) -> pa.Schema:
        """The schema of the rows. Raises SourceError where a column is not there, or not of a type that will do."""
        for asked, name, is_right, wanted in (
            ("image_column", self._image_column, _holds_bytes, "bytes or {bytes, path}"),
            ("uri_column", self._spec.uri_column, _holds_text, "text"),
            ("label_from", self._label_column, _holds_scalars, "texts or numbers"),
            *(("keep", name, _holds_anything, "") for name in self._spec.keep),
        ):
            if name is None:
                continue
            if schema.names.count(name) != 1:
                often = "more than one" if name in schema.names else "no"
                columns = ", ".join(schema.names)
                raise SourceError(f"source.{asked}: {file.uri} has {often} column {name!r}; its columns are {columns}")
            kind = schema.field(name).type
            if not is_right(kind):
                raise SourceError(f"source.{asked}: {name!r} must hold {wanted}, not {kind}, as in {file.uri}")
        offset = [] if self._image_column is None else [OFFSET_FIELD]
        return pa.schema([*ROW_FIELDS, *offset, *(schema.field(name).with_nullable(True) for name in self._spec.keep)])

    def _file_rows(self, parquet: pq.ParquetFile, file: ContainerFile, layout: pa.Schema) -> Iterator[pa.Table]:
        """Row group by row group, so that no more than one is held."""
        names = [self._spec.uri_column, self._label_column, *self._spec.keep]
        columns = [name for name in names if name is not None]  # Arrow reads one that is there twice once
        classes = _class_names(parquet.schema_arrow, self._label_column) if self._spec.label_names is None else None
        start = 0
        for group in range(parquet.num_row_groups):
            for batch in parquet.iter_batches(ROWS_PER_TABLE, row_groups=[group], columns=columns):
                found = self._to_rows(batch, start, file, classes)
                yield pa.table([found[name] for name in layout.names], layout)
                start += batch.num_rows

    def _to_rows(
        self, batch: pa.RecordBatch, start: int, file: ContainerFile, classes: Mapping[str, str] | None
    ) -> dict[str, pa.Array]:
        count = batch.num_rows
        labels = _as_text(batch.column(self._label_column)) if self._label_column else pa.nulls(count, pa.string())
        found = {name: batch.column(name) for name in self._spec.keep}
        found["size"] = pa.nulls(count, pa.int64())
        found["expected"] = labels if classes is None else rename(labels, classes)
        if self._image_column is None:
            found["uri"] = resolve(_as_text(batch.column(self._spec.uri_column)), file.uri, start)
            found["etag"] = pa.nulls(count, pa.string())
            return found
        found["offset"] = pa.array(range(start, start + count), pa.int64())
        found["uri"] = pc.binary_join_element_wise(file.uri, found["offset"].cast(pa.string()), "#")
        found["etag"] = pa.repeat(file.etag, count)
        return found


def _check_same(found: pa.Schema, file: ContainerFile, layout: pa.Schema, first: ContainerFile) -> None:
    """Raises SourceError where this file's kept columns differ from the first one's."""
    for field in found:
        other = layout.field(field.name).type
        if field.type != other:
            raise SourceError(f"source.keep: {field.name!r} is {other} in {first.uri} and {field.type} in {file.uri}")


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _holds_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _holds_scalars(kind: pa.DataType) -> bool:
    return not pa.types.is_nested(kind)


def _holds_anything(_kind: pa.DataType) -> bool:
    return True


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string())


def _class_names(schema: pa.Schema, column: str | None) -> Mapping[str, str] | None:
    """The names of a Hugging Face ClassLabel column, which `datasets` keeps in the schema's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return by_index(list(features[column]["names"]))
    except (KeyError, TypeError, ValueError):
        return None
