"""A place in a column of a Parquet file: rows further on in the same pages are reached without reading them again."""

import logging
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from job.errors import StoreError
from job.sources.parquet.paged_file import PagedFile, Stretch
from job.sources.parquet.parquet_columns import Column

log = logging.getLogger(__name__)

_BATCH_ROWS = 16


class ColumnCursor:
    """Values of one column, by row of the file. For one thread."""

    def __init__(self, file: PagedFile, column: Column) -> None:
        self._file = file
        self._column = column
        self._leaf = file.leaf(column.selector)
        self._stretch: Stretch | None = None
        self._values: pa.Array = pa.nulls(0)
        self._first = self._stop = 0

    def value(self, rows: Sequence[int], place: int) -> Any:
        """The value of one of some rows, which are in order; those behind it will be asked for next."""
        row = rows[place]
        if self._stretch is None or not self._first <= row < self._stretch.stop:
            self._stretch, self._values = None, pa.nulls(0)  # a page may be large, and two of them too much
            self._stretch = self._start(rows[place:])
            self._first = self._stop = self._stretch.first
        while row >= self._stop:
            batch = next(self._stretch.batches, None)
            if batch is None:
                raise StoreError(f"row {row:,} was there when the plan was made and is not now")
            self._values = self._column.of(batch)
            self._first, self._stop = self._stop, self._stop + batch.num_rows
        return self._values[row - self._first].as_py()

    def _start(self, rows: Sequence[int]) -> Stretch:
        if self._leaf is not None:
            try:
                return self._file.stretch(self._leaf, self._column.selector, rows, _BATCH_ROWS)
            except ValueError as error:
                log.debug("%s is read by row groups: %s", self._column.selector, error)
        return self._file.whole_group(self._column.selector, rows[0], _BATCH_ROWS)
