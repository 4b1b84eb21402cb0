"""Where the rows of a column lie in its row group: runs of pages that stand together, found as they are asked for.

An offset index says where pages are. Few writers make one, and then each page's header, which says where the next one
is, has to be read: with the page where its rows are wanted, in a small read of its own where they are passed over.
"""

import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from job.sources.parquet.page_headers import PageHeader, PageLocation, read_page_header
from job.sources.parquet.thrift_compact import CutShortError

RUN_BYTES = 16 << 20
_HEADER_BYTES = 512
_LARGEST_HEADER = 16 << 20  # as parquet-cpp has it; old writers put the largest value into it
Read = Callable[[int, int], bytes | bytearray]


class PageRun(NamedTuple):
    """Bytes `start` to `stop` of the file, which hold `rows` rows from `first_row` of the row group."""

    start: int
    stop: int
    first_row: int
    rows: int


class ColumnPlace(NamedTuple):
    """Where the pages of a column are in the file. `dictionary` is where one is, if the footer says so."""

    start: int
    stop: int
    rows: int
    dictionary: tuple[int, int] | None


class PageRuns:
    """The runs of one column in one row group. Several threads may ask; each page is of one run."""

    def __init__(self, place: ColumnPlace, read: Read, window: int = RUN_BYTES) -> None:
        """`read` gives the bytes of the file from a start to a stop; `window` are the most that come with a header."""
        self._window = window
        self.dictionary = place.dictionary
        self.rows = place.rows
        self._place = place
        self._read = read
        self._lock = threading.Lock()
        # 24 bytes a page: there are a hundred thousand in 100 GB.
        self._starts, self._stops, self._rows = array("q"), array("q"), array("q")
        self._next, self._next_row = place.start, 0
        self._header_bytes = _HEADER_BYTES  # a guess that grows
        self._buffer, self._buffer_start = b"", place.start
        self._runs: list[PageRun] = []
        self._firsts: list[int] = []  # of each run the first row
        self._row_bytes = max(1, (place.stop - place.start) // max(1, place.rows))

    def add_index(self, pages: Sequence[PageLocation]) -> None:
        """Takes the places of all pages from an offset index. Raises ValueError where they cannot be right."""
        stops = [*(page.first_row for page in pages[1:]), self._place.rows]
        for page, stop in zip(pages, stops, strict=True):
            if page.first_row != self._next_row or stop < page.first_row or page.offset < self._next or page.size <= 0:
                raise ValueError("the offset index has no pages in the order of their rows")
            self._next = page.offset
            self._add(page.size, stop - page.first_row)
        if self._next > self._place.stop:
            raise ValueError("the offset index goes past its column")
        if self.dictionary is None and pages[0].offset > self._place.start:
            self.dictionary = (self._place.start, pages[0].offset)

    def find(self, row: int, until: int) -> tuple[PageRun, bytes]:
        """The run that has a row, where those up to `until` are wanted too; and of its bytes those read already.

        Raises ValueError for what are no pages.
        """
        with self._lock:
            place = bisect_right(self._firsts, row)
            if place and row < self._runs[place - 1].first_row + self._runs[place - 1].rows:
                return self._runs[place - 1], b""
            while self._next_row <= row:
                self._look_on(row, until)
            next_run = self._firsts[place] if place < len(self._firsts) else self._place.rows
            run = self._cut(row, min(until, next_run))
            self._runs.insert(place, run)
            self._firsts.insert(place, run.first_row)
            return run, self._take(run)

    def _take(self, run: PageRun) -> bytes:
        """What has been read of a run; of the rest, what stands before it is forgotten."""
        place = run.start - self._buffer_start
        if not 0 <= place < len(self._buffer):
            return b""
        found = self._buffer[place : place + run.stop - run.start]
        self._forget(run.stop)
        return found

    def _cut(self, row: int, until: int) -> PageRun:
        """A run of the pages that are known, from that of the row."""
        first = last = bisect_right(self._rows, row) - 1
        while (
            last + 1 < len(self._rows)
            and self._rows[last + 1] < until
            and self._starts[last + 1] == self._stops[last]
            and self._stops[last + 1] - self._starts[first] <= RUN_BYTES
        ):
            last += 1
        stop_row = self._rows[last + 1] if last + 1 < len(self._rows) else self._next_row
        return PageRun(self._starts[first], self._stops[last], self._rows[first], stop_row - self._rows[first])

    def _look_on(self, row: int, until: int) -> None:
        """Reads the header of the page behind those that are known, and with it what is wanted of the page."""
        last_rows = self._next_row - self._rows[-1] if self._rows else 1
        is_near = self._next_row + last_rows > row  # the next page has the row, if it has as many as the last
        wanted = min(self._window, (until - self._next_row) * self._row_bytes) if is_near else 0
        header = self._header(self._header_bytes + wanted)
        self._header_bytes = max(self._header_bytes, header.header + _HEADER_BYTES)
        self._add_page(header)
        while self._next_row < self._place.rows and (whole := self._whole_page()) is not None:
            self._add_page(whole)

    def _whole_page(self) -> PageHeader | None:
        """The next page's header, where all of the page has been read with the one before it."""
        try:
            header = read_page_header(self._buffer, self._next - self._buffer_start)
        except CutShortError:
            return None
        return header if self._next + header.size <= self._buffer_start + len(self._buffer) else None

    def _header(self, window: int) -> PageHeader:
        if not self._buffer_start <= self._next <= self._buffer_start + len(self._buffer):
            self._buffer = b""
        self._forget(self._next)
        while True:
            try:
                return read_page_header(self._buffer, 0)
            except CutShortError:
                end = self._next + len(self._buffer)
                if end >= self._place.stop or len(self._buffer) > _LARGEST_HEADER:
                    raise
            self._buffer += self._read(end, min(self._place.stop, end + window))
            window = max(window, 2 * len(self._buffer))

    def _add_page(self, header: PageHeader) -> None:
        if header.is_dictionary:
            self.dictionary = (self._next, self._next + header.size)
        if self._next_row + header.values > self._place.rows:
            raise ValueError("the pages have more rows than their row group")
        self._add(header.size, header.values)

    def _add(self, size: int, rows: int) -> None:
        if rows:
            self._starts.append(self._next)
            self._stops.append(self._next + size)
            self._rows.append(self._next_row)
        self._next += size
        self._next_row += rows

    def _forget(self, upto: int) -> None:
        """Keeps of what was read only what is behind."""
        self._buffer = self._buffer[max(0, upto - self._buffer_start) :]
        self._buffer_start = upto
