"""Columns of a Parquet file by the name that a spec gives them: a column, or `a.b` for a field of a struct.

Also what a column must hold to be an image, a URI or a label. Used by the parquet source, in the driver and in workers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Column:
    """A column, or a field of a struct in one: the names that lead to it, and what it holds."""

    path: tuple[str, ...]
    field: pa.Field

    @property
    def type(self) -> pa.DataType:
        return self.field.type

    @property
    def selector(self) -> str:
        """As `pyarrow.parquet` takes it in `columns`; where names have dots, it may select more."""
        return ".".join(self.path)

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """Its values; where a struct is null, so are its fields."""
        values = batch.column(batch.schema.get_field_index(self.path[0]))
        return pc.struct_field(values, list(self.path[1:])) if len(self.path) > 1 else values


def find_column(schema: pa.Schema | pa.StructType, name: str) -> Column | None:
    """The column of that name; of a name with dots first the one that is called so, then the field of a struct.

    None where there is none. Raises ValueError where the name stands for more than one.
    """
    names = schema.names
    if names.count(name) > 1:
        raise ValueError("more than one")
    if name in names:
        return Column((name,), schema.field(name))
    for end in (place for place in range(len(name) - 1, 0, -1) if name[place] == "."):
        head = name[:end]
        if names.count(head) == 1 and pa.types.is_struct(kind := schema.field(head).type):
            found = find_column(kind, name[end + 1 :])
            if found is not None:
                return Column((head, *found.path), found.field)
    return None


def bytes_column(column: Column) -> Column:
    """What is read of an image column: of Hugging Face's structs the bytes."""
    if not pa.types.is_struct(column.type):
        return column
    return Column((*column.path, "bytes"), column.type.field("bytes"))


def path_column(column: Column) -> Column | None:
    """The `path` beside the bytes of Hugging Face's images, None where there is none."""
    if not pa.types.is_struct(column.type):
        return None
    index = column.type.get_field_index("path")
    if index < 0 or not holds_text(column.type.field(index).type):
        return None
    return Column((*column.path, "path"), column.type.field(index))


def holds_bytes(kind: pa.DataType) -> bool:
    """Bytes, a struct that has them as `bytes`, or a list of either, which is read where it has one element."""
    if pa.types.is_dictionary(kind) or is_list(kind):
        return holds_bytes(kind.value_type)
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and holds_bytes(kind.field(index).type)
    return is_binary(kind) or bool(pa.types.is_null(kind))


def holds_text(kind: pa.DataType) -> bool:
    """Text, or bytes that older writers (Impala, Hive) did not mark as text."""
    if pa.types.is_dictionary(kind):
        return holds_text(kind.value_type)
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(is_kind(kind) for is_kind in texts) or is_binary(kind)


def holds_scalars(kind: pa.DataType) -> bool:
    return not pa.types.is_nested(kind)


def holds_anything(_kind: pa.DataType) -> bool:
    return True


def is_binary(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(is_kind(kind) for is_kind in kinds)


def is_list(kind: pa.DataType) -> bool:
    kinds = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    return any(is_kind(kind) for is_kind in kinds)


def as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string())


def image_bytes(value: object) -> bytes | str | None:
    """The bytes of one value of an image column; a text is the path of an image that is not in the file.

    Raises ValueError where the value is a list of several.
    """
    if isinstance(value, list):
        if len(value) > 1:
            raise ValueError(f"the row holds {len(value)} images; a row is one image: give each a row of its own")
        return image_bytes(value[0]) if value else None
    if isinstance(value, Mapping):
        data = value.get("bytes")
        path = value.get("path")
        return image_bytes(data) if data is not None or not isinstance(path, str) else path or None
    return value if isinstance(value, bytes | None) else None
