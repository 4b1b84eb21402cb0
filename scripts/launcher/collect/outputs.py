"""Outputs: the files that a collection leaves where they are not the run's own, and how they are made of those.

Shards are read one after the other, as their downloads end, a batch at a time.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import RunFailed
from job.plan.records import CommittedFile
from tench.launcher.collect.destination import Destination, Whole
from tench.launcher.collect.download import unreadable
from tench.launcher.collect.writers import WRITERS

BATCH_ROWS = 10_000
BATCH_BYTES = 64 << 20


@dataclass(frozen=True)
class Piece:
    """Rows `start` to `stop` of one shard's file."""

    file: CommittedFile
    start: int
    stop: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Output:
    """A file to make of pieces, in their order."""

    name: str
    pieces: tuple[Piece, ...]

    @property
    def origin(self) -> str:
        """A hash of what it is made of."""
        made_of = [(piece.file.file, piece.file.etag, piece.start, piece.stop) for piece in self.pieces]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def plan_outputs(files: Sequence[CommittedFile], merge: int | None, suffix: str) -> list[Output]:
    """One for each shard, or `merge` in all, among which the shards' rows are divided evenly."""
    if merge is None:
        return [Output(str(Path(file.file).with_suffix(f".{suffix}")), (Piece(file, 0, file.rows),)) for file in files]
    ends = list(accumulate(file.rows for file in files))
    cuts = [ends[-1] * number // merge for number in range(merge + 1)]
    return [
        Output(_name(number, merge, suffix), tuple(_pieces(files, ends, start, stop)))
        for number, (start, stop) in enumerate(pairwise(cuts))
    ]


class Maker:
    """Makes outputs in one form: `suffix` names the format, `keep` drops rows where not all are wanted."""

    def __init__(
        self, destination: Destination, schema: pa.Schema, suffix: str, keep: Callable[[pa.Table], pa.Table] | None
    ) -> None:
        self._destination = destination
        self._schema = schema
        self._open_writer = WRITERS[suffix]
        self._keep = keep

    def make(
        self, output: Output, open_shard: Callable[[CommittedFile], Path], advance: Callable[[int], None]
    ) -> Whole:
        """The output, whole. `advance` is told of rows as they are read."""
        temporary, rows = self._destination.temporary(), 0
        with closing(self._open_writer(temporary, self._schema)) as writer:
            for piece in output.pieces:
                for table in self._read(open_shard(piece.file), piece):
                    kept = self._keep(table) if self._keep else table
                    if kept.num_rows:
                        writer.write(kept)
                    rows += kept.num_rows
                    advance(table.num_rows)
        return self._destination.keep(temporary, output.name, output.origin, rows)

    def _read(self, path: Path, piece: Piece) -> Iterator[pa.Table]:
        try:
            yield from self._read_batches(path, piece)
        except (pa.ArrowInvalid, OSError) as error:
            path.unlink(missing_ok=True)  # else the next call would take it for whole
            raise unreadable(piece.file.file, error) from error

    def _read_batches(self, path: Path, piece: Piece) -> Iterator[pa.Table]:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(self._schema):
                raise RunFailed(f"{piece.file.file} has other columns than the first shard; `tench verify` the run")
            row = 0
            for batch in file.iter_batches(_batch_rows(file.metadata)):
                first, last = max(0, piece.start - row), min(batch.num_rows, piece.stop - row)
                if first < last:
                    yield pa.Table.from_batches([batch.slice(first, last - first)])
                row += batch.num_rows


def _name(number: int, merge: int, suffix: str) -> str:
    return f"predictions.{suffix}" if merge == 1 else f"predictions-{number:05d}-of-{merge:05d}.{suffix}"


def _pieces(files: Sequence[CommittedFile], ends: Sequence[int], start: int, stop: int) -> Iterator[Piece]:
    """The parts of files between two rows, counted over all of them."""
    number = bisect_right(ends, start)
    while start < stop:
        end = min(stop, ends[number])
        before = ends[number] - files[number].rows
        yield Piece(files[number], start - before, end - before)
        start, number = end, number + 1


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Fewer where rows are large, as those that carry a file's bytes along."""
    size: int = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    rows: int = metadata.num_rows
    return max(1, min(BATCH_ROWS, BATCH_BYTES * rows // max(1, size)))
