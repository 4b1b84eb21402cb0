"""What every source gives: rows to plan, and bytes to decode. The kinds differ in their `Reader`.

`Source` adds what all kinds share: class names for labels, the limit, and one class of error for whatever is wrong.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import pyarrow as pa

from job.errors import SourceError, StoreError
from job.plan.records import LeftOut
from job.sources.label_names import load_names, rename
from job.sources.left_out import LeftOutCounts
from job.sources.public_bucket import PublicBucket
from job.sources.unlabelled import Unlabelled
from job.spec.columns import LISTED, OFFSET
from job.spec.spec import SourceSpec

log = logging.getLogger(__name__)

Handle = Callable[[], bytes]
"""Gives one image's encoded bytes, once, in any thread. Raises ImageError: missing, changed, unreadable, too-large
or empty."""

_TYPES = {"uri": pa.string(), "size": pa.int64(), "etag": pa.string(), "expected": pa.string()}
ROW_FIELDS = tuple(pa.field(name, _TYPES[name]) for name in LISTED)
OFFSET_FIELD = pa.field(OFFSET, pa.int64())


class Reader(Protocol):
    """One kind of source."""

    def rows(self, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        """As `Source.list`, with labels as they stand in the source and no limit; counts what is no row of it.

        Raises SourceError where there is no row. A URI comes as often as the source names it.
        """

    def read(self, rows: pa.Table) -> Iterator[Handle]:
        """As `Source.read`."""


class Source:
    """The images of a spec."""

    def __init__(self, spec: SourceSpec, reader: Reader, ascends: bool = False) -> None:
        """`ascends` says that URIs are listed in bytewise order, each once."""
        self.ascends = ascends
        self._spec = spec
        self._reader = reader
        self._public = PublicBucket.of(spec.uri)
        self._left_out = LeftOutCounts()
        self._has_label = False

    @property
    def tells_at_its_end(self) -> bool:
        """Whether only the end of the listing tells that it is what the spec says: where labels are not found yet."""
        has_file = getattr(self._spec, "label_file", None) is not None
        return (has_file or self._spec.label_from not in ("none", "directory")) and not self._has_label

    def know_labels(self, table: pa.Table) -> None:
        """Of rows with a column `expected`, which may come of an earlier listing."""
        self._has_label = self._has_label or table["expected"].null_count < table.num_rows

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """What the last listing passed over, the most first; of one that ended at the limit, what came before."""
        return self._left_out.records()

    def list(self, names_by_id: Mapping[str, str] = MappingProxyType({})) -> Iterator[pa.Table]:
        """Every image once, in the same order each time, streamed in tables of at most 10,000 rows.

        `names_by_id` are class names of expected labels that are ids, where the spec has no `label_names`.

        Columns: `uri` string, without the `anonymous@` of the source's own bucket, so that other tables join; `size`
        int64 (null: not known yet), `etag` string, `expected` string; `offset` int64 where images lie inside a file
        (Parquet: the row, null for an image that the row only names; a tar: the byte); of crops
        `crop_xywh`, four int32 (left, top, width, height), and `crop_orientation` string, which way up the image is
        for them; then the kept columns.
        Raises SourceError where there are none, or where they are not what the spec says.
        """
        left = self._spec.limit
        self._left_out = LeftOutCounts()
        unlabelled = Unlabelled()
        try:
            names = load_names(self._spec.label_names) if self._spec.label_names else names_by_id
            for table in self._reader.rows(self._left_out):
                table = table if left is None else table.slice(0, left)
                if names:
                    position = table.schema.get_field_index("expected")
                    table = table.set_column(position, "expected", rename(table["expected"].combine_chunks(), names))
                unlabelled.add(table)
                self.know_labels(table)
                yield self._public.name_plainly(table) if self._public else table
                left = None if left is None else left - table.num_rows
                if left == 0:
                    break
        except (StoreError, FileNotFoundError) as error:
            raise SourceError(str(error)) from error
        if self._spec.label_from != "none" and unlabelled.images:
            log.warning("%s", unlabelled.sentence(self._spec.label_from))

    def read(self, rows: pa.Table) -> Iterator[Handle]:
        """One handle for each of some listed rows (`uri, size, etag` and `offset` where there is one), in their order.

        Buckets are read ahead of the handles that are called, within a bound; files of this machine are read when a
        handle is called.
        """
        return self._reader.read(self._public.name_as_public(rows) if self._public else rows)
