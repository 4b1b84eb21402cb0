"""A source's listing as it comes, given out in shards; what is frozen already is passed over when it comes again."""

from collections import deque
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import SourceError
from job.spec.columns import CROP, OFFSET, PLACE

# What an image is: rows that agree in these are the same rows.
IDENTITY = ("uri", OFFSET, *CROP)


class ListedRows:
    """Tables of any length in, shards out.

    `ascends` says that URIs come in bytewise order: then what came or went among those that are passed over changes
    nothing. Otherwise rows are known by their number, and each has to be what it was.
    """

    def __init__(self, tables: Iterator[pa.Table], ascends: bool, limit: int | None = None) -> None:
        """At most `limit` rows, those that are passed over among them."""
        self._tables = tables
        self.ascends, self._left = ascends, limit
        self._waiting: deque[pa.Table] = deque()
        self._behind: str | None = None
        self._last: str | None = None

    def pass_over(self, frozen: Iterator[pa.Table], rows: int, last_uri: str) -> None:
        """The next rows are those of a frozen part. Raises SourceError where they are others by now.

        `frozen` has them, a table a shard, and is looked at only where the order does not tell.
        """
        if self._left is not None:
            self._left = max(0, self._left - rows)
        if self.ascends:
            self._behind = last_uri
            self._waiting = deque(filter(pa.Table.__len__, map(self._those_behind, self._waiting)))
            return
        for shard in frozen:
            _check_same(shard, self._take_all(shard.num_rows))

    def take(self, rows: int) -> pa.Table | None:
        """So many rows, fewer at the end, None behind it."""
        found = self._take_all(rows if self._left is None else min(rows, self._left))
        if not found.num_rows:
            return None
        if self._left is not None:
            self._left -= found.num_rows
        return found

    def put_back(self, tables: Sequence[pa.Table]) -> None:
        """Rows that were taken last come again."""
        self._waiting.extendleft(reversed(tables))
        if self._left is not None:
            self._left += sum(table.num_rows for table in tables)

    @property
    def is_at_end(self) -> bool:
        """Whether no row is left; the listing itself has come to its end then."""
        if self._left == 0:
            self._fetch()  # what it has to say at its end
            return True
        return not (self._waiting or self._fetch())

    def _take_all(self, rows: int) -> pa.Table:
        taken: list[pa.Table] = []
        while rows and (self._waiting or self._fetch()):
            table = self._waiting.popleft()
            if table.num_rows > rows:
                self._waiting.appendleft(table.slice(rows))
                table = table.slice(0, rows)
            taken.append(table)
            rows -= table.num_rows
        return pa.concat_tables(taken) if taken else pa.table({})

    def _fetch(self) -> bool:
        for table in self._tables:
            if self.ascends and table.num_rows:
                self._check_order(table["uri"])
            table = self._those_behind(table)
            if table.num_rows:
                self._waiting.append(table)
                return True
        return False

    def _check_order(self, uris: pa.ChunkedArray) -> None:
        """Stores promise the order; where one does not keep it, rows are known by their number alone."""
        is_next = pc.all(pc.greater(uris[1:], uris[:-1]), min_count=0).as_py()
        if not is_next or (self._last is not None and uris[0].as_py() <= self._last):
            self.ascends = False
            if self._behind is not None:
                raise SourceError(
                    f"source.uri: {uris[0].as_py()!r} is listed behind {self._last!r}, so nothing tells what was "
                    "listed before this run was broken off; give it another --run-id"
                )
        self._last = uris[-1].as_py()

    def _those_behind(self, table: pa.Table) -> pa.Table:
        if self._behind is None or not table.num_rows:
            return table
        return table.filter(pc.greater(table["uri"], self._behind))


def _check_same(frozen: pa.Table, listed: pa.Table) -> None:
    names = [name for name in IDENTITY if name in frozen.column_names]
    if listed.num_rows == frozen.num_rows and frozen.select(names).equals(listed.select(names)):
        return
    before, now = frozen["uri"].to_pylist(), listed["uri"].to_pylist() if listed.num_rows else []
    place = next((n for n, uri in enumerate(before) if n >= len(now) or now[n] != uri), 0)
    shard, row = (frozen[name][place].as_py() for name in PLACE)
    is_now = repr(now[place]) if place < len(now) else "not there"
    raise SourceError(
        f"source.uri: the source was changed while it was listed: row {row:,} of shard {shard:,} was "
        f"{before[place]!r}, and is {is_now}; put it back, or give the new one another --run-id"
    )
