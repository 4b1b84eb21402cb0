"""Rows of Parquet files that hold encoded images, or their URIs. Listing reads the columns it needs, no images."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import SourceError
from job.sources.label_names import by_index, rename
from job.sources.label_values import column_labels
from job.sources.left_out import LeftOutCounts
from job.sources.object_images import read_objects
from job.sources.parquet.open_parquet import open_parquet
from job.sources.parquet.parquet_columns import Column, as_text, path_column
from job.sources.parquet.parquet_footers import Footer, read_footers
from job.sources.parquet.parquet_images import read_images
from job.sources.parquet.parquet_layout import fit, kept_field
from job.sources.parquet.parquet_paths import PathCheck, read_both
from job.sources.parquet.tables import data_files
from job.sources.relative_uris import first_unreadable, resolve
from job.sources.source import OFFSET_FIELD, ROW_FIELDS, Handle
from job.spec.limits import Limits
from job.spec.spec import ParquetSource
from job.stores.folder import ROWS_PER_TABLE


class ParquetReader:
    """One row a row: of `image_column` its URI is `FILE#ROW`; of `uri_column`, the column's, which may repeat.

    An image that is a path in Hugging Face's `{bytes, path}` has the URI that the path leads to, and no offset, where
    none of its row group has bytes; beside others that have, it is `FILE#ROW` too.
    """

    def __init__(self, spec: ParquetSource, limits: Limits) -> None:
        self._spec = spec
        self._limits = limits
        self._image_column = None if spec.uri_column else spec.image_column or "image"
        self._label_column = None if spec.label_from == "none" else spec.label_from
        self._read_columns = [name for name in (spec.uri_column, self._label_column, *spec.keep) if name is not None]

    def rows(self, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        files = data_files(self._spec.uri, left_out)
        if not files:
            raise SourceError(f"source.uri: the table at {self._spec.uri} has no files, so there are no rows")
        footers = read_footers(self._spec, files)
        if not any(footer.rows for footer in footers):
            raise SourceError(f"source.uri: no rows in {len(files):,} Parquet files at {self._spec.uri}")
        offset = [] if self._image_column is None else [OFFSET_FIELD]
        kept = [kept_field(name, footers) for name in self._spec.keep]
        layout = pa.schema([*ROW_FIELDS, *offset, *kept])
        check = PathCheck(self._image_column)
        rows = labelled = 0
        for footer in footers:
            for table in self._file_rows(footer, kept, check):
                rows += table.num_rows
                labelled += table.num_rows - table["expected"].null_count
                yield table.select(layout.names).cast(layout)
        if self._label_column and not labelled:
            raise SourceError(f"source.label_from: {self._label_column!r} has no label in any of {rows:,} rows")

    def read(self, rows: pa.Table) -> Iterator[Handle]:
        if self._image_column is None:
            return read_objects(rows, self._limits)
        if rows["offset"].null_count:
            return read_both(rows, self._image_column, self._limits)
        return read_images(rows, self._image_column, self._limits)

    def _file_rows(self, footer: Footer, kept: Sequence[pa.Field], check: PathCheck) -> Iterator[pa.Table]:
        file = footer.data.file
        start = 0
        for batch, is_path_group in _batches(footer, self._read_columns):
            count = batch.num_rows
            found = {field.name: fit(_values(batch, footer, field.name), field, file.uri) for field in kept}
            found["size"] = pa.nulls(count, pa.int64())
            found["expected"] = self._labels(batch, footer)
            found["etag"] = pa.nulls(count, pa.string())
            if self._spec.uri_column is not None:
                found["uri"] = resolve(as_text(_values(batch, footer, self._spec.uri_column)), file.uri)
                if (bad := first_unreadable(found["uri"])) is not None:
                    raise SourceError(f"source.uri_column: {file.uri}, row {start + bad[0]:,}: {bad[1]}")
            elif is_path_group:
                found["uri"] = check(resolve(as_text(_paths(batch, footer)), file.uri), file.uri)
                found["offset"] = pa.nulls(count, pa.int64())
            else:
                found["offset"] = pa.array(range(start, start + count), pa.int64())
                found["uri"] = pc.binary_join_element_wise(file.uri, found["offset"].cast(pa.string()), "#")
                found["etag"] = pa.repeat(file.etag, count)
            live = footer.data.live
            yield pa.table(found) if live is None else pa.table(found).filter(live[start : start + count])
            start += count

    def _labels(self, batch: pa.RecordBatch, footer: Footer) -> pa.Array:
        if self._label_column is None:
            return pa.nulls(batch.num_rows, pa.string())
        try:
            labels = column_labels(_values(batch, footer, self._label_column))
        except pa.ArrowException as error:
            problem = f"{self._label_column!r} of {footer.data.file.uri} cannot be read as text: {error}"
            raise SourceError(f"source.label_from: {problem}") from error
        if self._spec.label_names is not None or footer.class_names is None:
            return labels
        names: Mapping[str, str] = by_index(footer.class_names)
        return rename(labels, names)


def _batches(footer: Footer, names: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """What is read of a file, row group by row group, so that no more than one is held; and whether images are paths.

    A file of which nothing has to be read is not opened.
    """
    file = footer.data.file
    asked = [column.selector for name in names if isinstance(column := footer.columns[name], Column)]
    if not asked and not footer.path_groups:
        yield from ((_no_columns(count), False) for rows in footer.groups for count in _cut(rows))
        return
    try:
        with open_parquet(file.folder, file.key, file.size, file.etag, stream=False) as parquet:
            for group, rows in enumerate(footer.groups):
                is_path_group = group in footer.path_groups
                columns = [*asked, *([_path_of(footer).selector] if is_path_group else [])]
                if columns:
                    batches = parquet.iter_batches(ROWS_PER_TABLE, row_groups=[group], columns=columns)
                else:
                    batches = map(_no_columns, _cut(rows))
                yield from ((batch, is_path_group) for batch in batches)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file.uri}: not a Parquet file that can be read: {error}") from error


def _cut(rows: int) -> Iterator[int]:
    return (min(ROWS_PER_TABLE, rows - start) for start in range(0, rows, ROWS_PER_TABLE))


def _no_columns(rows: int) -> pa.RecordBatch:
    return pa.record_batch([pa.nulls(rows)], [""])


def _values(batch: pa.RecordBatch, footer: Footer, name: str) -> pa.Array:
    """A column of a batch; where folders' names or nothing give it, the same value in each row."""
    column = footer.columns[name]
    if isinstance(column, Column):
        return column.of(batch)
    return pa.nulls(batch.num_rows) if column is None else pa.repeat(column, batch.num_rows)


def _paths(batch: pa.RecordBatch, footer: Footer) -> pa.Array:
    return _path_of(footer).of(batch)


def _path_of(footer: Footer) -> Column:
    path = path_column(footer.image) if footer.image is not None else None
    if path is None:
        raise TypeError(f"{footer.data.file.uri}: the image column has no path")
    return path
