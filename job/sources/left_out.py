"""What a source holds and the plan leaves out, counted by kind while it is listed: nothing goes without a word."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from job.plan.records import LeftOut

MAX_KINDS = 50
# (?s): a name may hold a newline. What begins with a dot has no suffix; a long one is a name with a dot in it.
_SUFFIX = r"(?s)[^/](?P<suffix>\.[^/.]{1,10})$"
OTHERS = "of other kinds"


class LeftOutCounts:
    """Counts by kind, each with its first example. Safe to use from several threads; bounded in memory.

    A kind is what a person calls it, in the plural: `names that end with .txt`, `hidden names`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, kind: str, count: int = 1, example: str | None = None) -> None:
        """Nothing where `count` is 0; `example` is a URI or a key."""
        if count <= 0:
            return
        with self._lock:
            kind = kind if kind in self._counts or len(self._counts) < MAX_KINDS else OTHERS
            self._counts[kind] += count
            if example is not None:
                self._examples.setdefault(kind, example)

    def pass_over(self, kind: str, key: str) -> None:
        """One thing, as a folder's listing tells of it."""
        self.add(kind, example=key)

    def add_all(self, kinds: Mapping[str, tuple[int, str]]) -> None:
        """By kind: how many, and an example."""
        for kind, (count, example) in kinds.items():
            self.add(kind, count, example)

    def add_records(self, records: Iterable[LeftOut]) -> None:
        """What was counted apart, as one of several archives that are listed at once."""
        for each in records:
            self.add(each.kind, each.count, each.example)

    def count(self, kind: str) -> int:
        with self._lock:
            return self._counts[kind]

    def records(self) -> tuple[LeftOut, ...]:
        """The most first."""
        with self._lock:
            counts = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
            return tuple(LeftOut(kind=kind, count=count, example=self._examples.get(kind)) for kind, count in counts)


def by_suffix(keys: pa.ChunkedArray) -> dict[str, tuple[int, str]]:
    """How many keys end with which suffix, and the first that does; fit for `LeftOutCounts.add_all`."""
    if not len(keys):
        return {}
    suffixes = pc.utf8_lower(pc.struct_field(pc.extract_regex(keys, _SUFFIX), "suffix"))
    counts = pa.table([suffixes, keys], ["suffix", "key"]).group_by("suffix", use_threads=False)
    found = counts.aggregate([("key", "count"), ("key", "first")])
    return {
        f"names that end with {row['suffix']}" if row["suffix"] else "names without a suffix": (
            row["key_count"],
            row["key_first"],
        )
        for row in found.to_pylist()
    }
