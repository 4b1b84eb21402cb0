"""What a value says as an expected label: text, or none. Used by the sources that take labels from data."""

import json

import pyarrow as pa
import pyarrow.compute as pc

_BOM = "\ufeff"  # what some Windows programs begin every text with
_WHOLE = r"^(-?\d+)\.0+$"


def text_label(text: str) -> str | None:
    """The label that a text file holds; None for an empty one."""
    return text.removeprefix(_BOM).strip() or None


def json_label(value: str | float | bool | None) -> str | None:
    """The label of a JSON value: 3 and 3.0 are `3`; null, an empty text and NaN are none.

    Raises ValueError for a text with half of a character, which JSON can write and nothing can show.
    """
    if isinstance(value, float):
        if value != value:
            return None
        return str(int(value)) if value.is_integer() else json.dumps(value)
    if isinstance(value, str):
        value.encode()
        return value if value.strip() else None
    return None if value is None else json.dumps(value)


def column_labels(column: pa.Array) -> pa.Array:
    """Labels of a column of texts or numbers, as text, by the same rules. Raises ArrowException for other bytes."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())  # Arrow looks for no NaN among halves
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    is_fraction = pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)
    labels = column.cast(pa.string())
    labels = pc.replace_substring_regex(labels, _WHOLE, r"\1") if is_fraction else pc.utf8_ltrim(labels, _BOM)
    is_empty = pc.equal(pc.utf8_trim_whitespace(labels), "")
    return pc.if_else(is_empty, pa.scalar(None, pa.string()), labels)
