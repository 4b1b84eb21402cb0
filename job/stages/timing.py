"""What the stages spent, carried beside the rows: one column, JSON in a table's first row, null below.

A column because Ray Data keeps columns; of schema metadata it keeps the first block's where it joins several. The
driver takes it off before rows are committed.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

COLUMN = "timing"

Figures = dict[str, Any]


def attach(table: pa.Table, figures: Figures) -> pa.Table:
    """The table with `figures` (`read_s`, `decode_s`, `predict_s`, `device`, …) in its timing column."""
    values = [json.dumps(figures), *[None] * (table.num_rows - 1)][: table.num_rows]
    return table.append_column(COLUMN, pa.array(values, pa.string()))


def detach(table: pa.Table) -> tuple[pa.Table, list[Figures]]:
    """The table without its timing column, and the figures of every block that was joined into it."""
    if COLUMN not in table.column_names:
        return table, []
    figures = [json.loads(text) for text in table[COLUMN].drop_null().to_pylist()]
    return table.drop_columns([COLUMN]), figures


def labels_of(figures: Iterable[Figures]) -> Sequence[str]:
    """The names of the model's classes, of whatever table told them."""
    return next((each["labels"] for each in figures if "labels" in each), ())
