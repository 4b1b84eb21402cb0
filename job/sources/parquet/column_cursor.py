"""A place in a column of a Parquet file: rows further on in the same pages are reached without reading them again."""

import logging
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from job.errors import StoreError
from job.sources.parquet.paged_file import PagedFile, Stretch
from job.sources.parquet.parquet_columns import Column

log = logging.getLogger(__name__)

_BATCH_ROWS = 16
_IDLE = 2  # as many as chunks are under way at once; each holds a page

_idle: OrderedDict["_Place", tuple[PagedFile, str]] = OrderedDict()
_lock = threading.Lock()


@dataclass(eq=False, slots=True)
class _Place:
    """In a stretch: `values` are those of the rows from `first` to `stop`."""

    stretch: Stretch
    first: int
    stop: int
    values: pa.Array

    def value(self, row: int, column: Column) -> Any:
        while row >= self.stop:
            batch = next(self.stretch.batches, None)
            if batch is None:
                raise StoreError(f"row {row:,} was there when the plan was made and is not now")
            self.values = column.of(batch)
            self.first, self.stop = self.stop, self.stop + batch.num_rows
        return self.values[row - self.first].as_py()


class ColumnCursor:
    """Values of one column, by row of the file. For one thread."""

    def __init__(self, file: PagedFile, column: Column) -> None:
        self._file = file
        self._column = column
        self._leaf = file.leaf(column.selector)
        self._place: _Place | None = None

    def value(self, rows: Sequence[int], number: int) -> Any:
        """The value of one of some rows, which are in order; those behind it will be asked for next."""
        row = rows[number]
        place = self._place
        if place is None or not place.first <= row < place.stretch.stop:
            self._place = place = None  # a page may be large, and two of them too much
            self._place = place = self._take_idle(rows[number:]) or self._start(rows[number:])
        value = place.value(row, self._column)
        if number == len(rows) - 1 and row + 1 < place.stretch.stop:
            self._place = None
            self._leave(place)
        return value

    def _start(self, rows: Sequence[int]) -> _Place:
        stretch = self._stretch(rows)
        return _Place(stretch, stretch.first, stretch.first, pa.nulls(0))

    def _stretch(self, rows: Sequence[int]) -> Stretch:
        if self._leaf is not None:
            try:
                return self._file.stretch(self._leaf, self._column.selector, rows, _BATCH_ROWS)
            except ValueError as error:
                log.debug("%s is read by row groups: %s", self._column.selector, error)
        return self._file.whole_group(self._column.selector, rows[0], _BATCH_ROWS)

    def _leave(self, place: _Place) -> None:
        """For a later chunk, which so has not to come through the rows before its own."""
        with _lock:
            _idle[place] = (self._file, self._column.selector)
            while len(_idle) > _IDLE:
                _idle.popitem(last=False)

    def _take_idle(self, rows: Sequence[int]) -> _Place | None:
        """The place next before the first of the rows that another chunk left."""
        mine = (self._file, self._column.selector)
        with _lock:
            near = [place for place, of in _idle.items() if of == mine and place.first <= rows[0] < place.stretch.stop]
            if not near:
                return None
            place = max(near, key=lambda place: place.first)
            del _idle[place]
        place.stretch.claim(bisect_right(rows, place.stretch.stop - 1))
        return place
