"""A condition over the columns of predictions, in SQL as DuckDB reads it: `--where` and `source.where`.

It sees the rows it is given and nothing else: no file, no network, no variable of this process.
"""

import re
from typing import TYPE_CHECKING

import pyarrow as pa

from job.errors import UsageError
from job.terminal.spelling import did_you_mean

if TYPE_CHECKING:
    import duckdb

_SEALED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "python_enable_replacements": False,  # else a table's name may be a variable's
    "lock_configuration": True,
    "threads": 1,
}
_UNKNOWN_COLUMN = re.compile(r'Referenced column "(.*)" not found')


class Where:
    """Keeps the rows of which the condition is true; like SQL, drops those of which it is null."""

    def __init__(self, condition: str, schema: pa.Schema, option: str = "--where") -> None:
        """Raises UsageError where it is no condition over these columns, or DuckDB is not installed."""
        try:
            import duckdb
        except ModuleNotFoundError as error:
            raise UsageError(f"{option} needs the extra `where`, duckdb: pip install duckdb") from error
        self._error = duckdb.Error
        self._option, self._text, self._names = option, condition, schema.names
        self._connection = duckdb.connect(config=_SEALED)
        try:
            self._condition = duckdb.SQLExpression(condition)
            # With a row there is something to try it on; without, a constant's cast would fail later.
            row = self._connection.from_arrow(pa.table([pa.nulls(1, kind) for kind in schema.types], schema))
            row.filter(self._condition).fetchall()
            kind = row.select(self._condition).types[0]
        except duckdb.Error as error:
            raise self._explain(error) from error
        if kind != "BOOLEAN":
            raise UsageError(f"{option} {condition!r} is no condition, its value is {kind}; compare it with something")

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows that are kept, in order. Raises UsageError for a value that the condition cannot take."""
        return rows.filter(self.mask(rows))

    def mask(self, rows: pa.Table) -> pa.ChunkedArray:
        """Whether each row is kept; null is no. Raises as a call does."""
        try:
            relation = self._connection.from_arrow(rows)
            return relation.select(self._condition.alias("keep")).to_arrow_table()["keep"]
        except self._error as error:
            raise self._explain(error) from error

    def _explain(self, error: "duckdb.Error") -> UsageError:
        text = str(error).splitlines()[0]
        if unknown := _UNKNOWN_COLUMN.search(text):
            name = unknown[1]
            meant = did_you_mean(name, self._names)
            # SQL's double quotes are for names.
            quotes = f"; text has single quotes: '{name}'" if f'"{name}"' in self._text and not meant else ""
            text = f"there is no column {name}{meant}{quotes} (columns: {', '.join(self._names)})"
        return UsageError(f"{self._option} {self._text!r}: {text}")
