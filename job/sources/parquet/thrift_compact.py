"""Thrift's compact protocol, as far as the footers and page headers of Parquet files need it.

A struct is read as the places of its fields' bytes, so that what is not understood is copied as it stands.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Bytes = bytes | bytearray | memoryview

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
_TRUE, _FALSE, _BYTE, _I16, _DOUBLE, _SET, _MAP = 1, 2, 3, 4, 7, 10, 11
_FIXED = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}
_DEEPEST = 32


class CutShortError(ValueError):
    """The bytes end before the struct does."""


class Field(NamedTuple):
    """A value: its type, and where its bytes are."""

    kind: int
    start: int
    stop: int


Struct = Mapping[int, Field]


def read_struct(data: Bytes, start: int = 0) -> tuple[Struct, int]:
    """The fields of the struct that begins at `start`, by id; and where it ends. Raises ValueError."""
    fields: dict[int, Field] = {}
    try:
        stop = _walk_struct(data, start, fields, 0)
    except IndexError:
        raise CutShortError("the bytes end inside a struct") from None
    if stop > len(data):
        raise CutShortError("the bytes end inside a struct")
    return fields, stop


def read_int(data: Bytes, field: Field) -> int:
    if field.kind not in (_I16, I32, I64):
        raise ValueError(f"a whole number has the type {field.kind}")
    number, _ = _varint(data, field.start)
    return _signed(number)


def read_list(data: Bytes, field: Field) -> Sequence[Field]:
    """The elements of a list."""
    if field.kind != LIST:
        raise ValueError(f"a list has the type {field.kind}")
    kind, count, place = _list_header(data, field.start)
    if kind in _FIXED:
        raise ValueError(f"a list of the type {kind}")
    elements = []
    for _ in range(count):
        stop = _skip(data, place, kind, 0)
        elements.append(Field(kind, place, stop))
        place = stop
    return elements


def copied(data: Bytes, fields: Struct, names: Sequence[int]) -> dict[int, tuple[int, bytes]]:
    """Those of the fields that are there, as `write_struct` takes them."""
    found = {name: fields[name] for name in names if name in fields}
    return {name: (field.kind, bytes(data[field.start : field.stop])) for name, field in found.items()}


def write_struct(fields: Mapping[int, tuple[int, bytes]]) -> bytes:
    """A struct from the types and bytes of its fields, by id."""
    parts = []
    last = 0
    for name in sorted(fields):
        kind, value = fields[name]
        step = name - last
        parts.append(bytes([step << 4 | kind]) if step < 16 else bytes([kind]) + write_int(name))
        parts.append(value)
        last = name
    return b"".join([*parts, b"\0"])


def write_int(number: int) -> bytes:
    return _write_varint(number << 1 ^ number >> 63)


def write_list(kind: int, elements: Sequence[bytes]) -> bytes:
    count = len(elements)
    header = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + _write_varint(count)
    return b"".join([header, *elements])


def _walk_struct(data: Bytes, place: int, fields: dict[int, Field] | None, depth: int) -> int:
    """Where a struct ends; its fields are put into `fields`."""
    if depth > _DEEPEST:
        raise ValueError("structs are nested too deep")
    name = 0
    while header := data[place]:
        place += 1
        kind = header & 15
        if header >> 4:
            name += header >> 4
        else:
            number, place = _varint(data, place)
            name = _signed(number)
        stop = _skip(data, place, kind, depth)
        if fields is not None:
            fields[name] = Field(kind, place, stop)
        place = stop
    return place + 1


def _skip(data: Bytes, place: int, kind: int, depth: int) -> int:
    if kind in (_I16, I32, I64):
        while data[place] > 127:
            place += 1
        return place + 1
    if kind in _FIXED:
        return place + _FIXED[kind]
    if kind == BINARY:
        length, place = _varint(data, place)
        return place + length
    if kind == STRUCT:
        return _walk_struct(data, place, None, depth + 1)
    if kind in (LIST, _SET):
        element, count, place = _list_header(data, place)
        if element in _FIXED:  # in a list, unlike in a struct, a truth value is a byte
            return place + count * max(1, _FIXED[element])
        for _ in range(count):
            place = _skip(data, place, element, depth + 1)
        return place
    raise ValueError(f"there is a field of the type {kind}")  # Parquet has no map and no uuid


def _list_header(data: Bytes, place: int) -> tuple[int, int, int]:
    header = data[place]
    if header >> 4 < 15:
        return header & 15, header >> 4, place + 1
    count, place = _varint(data, place + 1)
    return header & 15, count, place


def _varint(data: Bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _signed(zigzag: int) -> int:
    return zigzag >> 1 ^ -(zigzag & 1)


def _write_varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)
