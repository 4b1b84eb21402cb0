"""JSON text of Arrow columns, a whole column at a time: twice to three times as fast as a row at a time.

A float32 has the digits it has, 0.9 and not 0.8999999761581421; NaN and the infinities are null; bytes are base64.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Test = Callable[[pa.DataType], bool]


def to_json(values: pa.Array) -> pa.Array:
    """The text of every value, `null` for a null."""
    kind = values.type
    texts = next((write for test, write in _WRITERS if test(kind)), _others)(values)
    return pc.fill_null(texts, "null")


def to_objects(names: list[str], columns: list[pa.Array]) -> pa.Array:
    """A JSON object of every row."""
    texts: list[pa.Array | str] = []
    for name, column in zip(names, columns, strict=True):
        texts += [f"{',' if texts else '{'}{_encode(name)}:", to_json(column)]
    return join(*texts, "}")


def to_base64(values: pa.Array) -> pa.Array:
    return pa.array([None if value is None else b64encode(value).decode() for value in values.to_pylist()], pa.string())


def join(*texts: pa.Array | str) -> pa.Array:
    """Texts put end to end, row by row; null where one of them is."""
    return pc.binary_join_element_wise(*texts, "")


def is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return _is_any(types.is_binary, types.is_large_binary, types.is_fixed_size_binary)(kind)


def _dictionaries(values: pa.DictionaryArray) -> pa.Array:
    return to_json(values.dictionary_decode())


def _strings(values: pa.Array) -> pa.Array:
    # Labels are few, and each is quoted once.
    coded = values.dictionary_encode()
    return pa.array([_encode(text) for text in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)


def _numbers(values: pa.Array) -> pa.Array:
    return values.cast(pa.string())


def _quoted(values: pa.Array) -> pa.Array:
    return _strings(values.cast(pa.string()))


def _floats(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_finite(values), values.cast(pa.string()), pa.scalar(None, pa.string()))


def _lists(values: pa.ListArray) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(values), 0).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    items = pa.ListArray.from_arrays(offsets, to_json(values.flatten()))
    return _where_valid(values, join("[", pc.binary_join(items, ","), "]"))


def _structs(values: pa.StructArray) -> pa.Array:
    fields = [field.name for field in values.type]
    return _where_valid(values, to_objects(fields, values.flatten()))


def _bytes(values: pa.Array) -> pa.Array:
    return join('"', to_base64(values), '"')


def _others(values: pa.Array) -> pa.Array:
    return pa.array([_encode(value) for value in values.to_pylist()], pa.string())


def _where_valid(values: pa.Array, texts: pa.Array) -> pa.Array:
    return pc.if_else(values.is_valid(), texts, pa.scalar(None, pa.string()))


def _to_text(value: Any) -> str:
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_to_text).encode


def _is_any(*tests: Test) -> Test:
    return lambda kind: any(test(kind) for test in tests)


_types = pa.types
_WRITERS: list[tuple[Test, Callable[[Any], pa.Array]]] = [
    (_types.is_dictionary, _dictionaries),
    (_is_any(_types.is_string, _types.is_large_string), _strings),
    (_is_any(_types.is_integer, _types.is_boolean), _numbers),
    (_types.is_floating, _floats),
    (_is_any(_types.is_date, _types.is_time, _types.is_timestamp, _types.is_decimal), _quoted),
    (_is_any(_types.is_list, _types.is_large_list, _types.is_fixed_size_list), _lists),
    (_types.is_struct, _structs),
    (is_bytes, _bytes),
]
