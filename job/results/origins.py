"""Origins: what each predictions file was made with, in its Parquet metadata, and counted for `_SUCCESS`."""

from collections import Counter

import pyarrow as pa
from pydantic import ValidationError

from job.plan.records import Origin, OriginGroup

_KEY = b"tench"


def stamp(table: pa.Table, origin: Origin) -> pa.Table:
    """The table with its origin, which Parquet keeps as the key `tench` of the file's metadata, in JSON."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: origin.model_dump_json().encode()})


def origin_of(table: pa.Table) -> Origin | None:
    """None where there is none: of an older version, or of no Tench."""
    try:
        return Origin.model_validate_json((table.schema.metadata or {})[_KEY])
    except (KeyError, ValidationError):
        return None


class OriginCounts:
    """Of the files of a run; few, whatever the number of files."""

    def __init__(self) -> None:
        self._files: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()

    def add(self, table: pa.Table) -> None:
        if origin := origin_of(table):
            key = origin.model_dump_json()
            self._files[key] += 1
            self._rows[key] += table.num_rows

    def groups(self) -> tuple[OriginGroup, ...]:
        """The most rows first."""
        ordered = sorted(self._rows.items(), key=lambda item: (-item[1], item[0]))
        return tuple(
            OriginGroup(**Origin.model_validate_json(key).model_dump(), files=self._files[key], rows=rows)
            for key, rows in ordered
        )
