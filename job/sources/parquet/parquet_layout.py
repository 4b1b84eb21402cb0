"""The columns of a Parquet source's rows: one type for each that is kept, which every file's values are cast to."""

import logging
from collections.abc import Sequence

import pyarrow as pa

from job.errors import SourceError
from job.sources.parquet.parquet_columns import Column
from job.sources.parquet.parquet_footers import Footer
from job.sources.parquet.partitions import are_whole_numbers

log = logging.getLogger(__name__)


def kept_field(name: str, footers: Sequence[Footer]) -> pa.Field:
    """The field of a kept column. Files may differ where Arrow has a type for all their values, nulls included.

    Raises SourceError where it has none.
    """
    found = {footer.data.file.uri: footer.columns[name] for footer in footers}
    first = next(each for each in found.values() if each is not None)
    _warn_of_missing(name, [uri for uri, each in found.items() if each is None], len(found))
    kinds: dict[pa.DataType, str] = {}
    numbers = _are_numbers(name, footers)
    for uri, each in found.items():
        if each is not None:
            kind = pa.int64() if numbers and isinstance(each, pa.Scalar) else each.type
            kinds.setdefault(kind, uri)
    kind = _common([*kinds])
    if kind is None:
        one, other = [f"{kind} in {uri}" for kind, uri in kinds.items()][:2]
        raise SourceError(f"source.keep: {name!r} is {one} and {other}")
    metadata = first.field.metadata if isinstance(first, Column) and len(kinds) == 1 else None
    return pa.field(name, kind, metadata=metadata)


def fit(values: pa.Array, field: pa.Field, uri: str) -> pa.Array:
    """The values as the field has them, and none of them another. Raises SourceError where one would be."""
    if values.type == field.type:
        return values
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), field.type)
    try:
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if pa.types.is_dictionary(field.type):
            return values.cast(field.type.value_type).dictionary_encode().cast(field.type)
        return values.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        said = f"{field.name!r} is {values.type} in {uri}, and {field.type} in others, which cannot hold its values"
        raise SourceError(f"source.keep: {said}: {error}") from error


def _are_numbers(name: str, footers: Sequence[Footer]) -> bool:
    """Whether the folders' names give the column whole numbers alone."""
    values = [
        footer.columns[name].as_py()  # type: ignore[union-attr]
        for footer in footers
        if isinstance(footer.columns[name], pa.Scalar) and not footer.data.are_typed
    ]
    return are_whole_numbers(values)


def _warn_of_missing(name: str, uris: Sequence[str], files: int) -> None:
    if uris:
        log.warning(
            "%d of %d files have no column %r, such as %s; it is null in their rows", len(uris), files, name, uris[0]
        )


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType | None:
    kinds = [kind for kind in kinds if not pa.types.is_null(kind)] or [*kinds[:1]]
    if len(kinds) == 1:
        return kinds[0]
    if not all(pa.types.is_dictionary(kind) for kind in kinds):
        kinds = [_plain(kind) for kind in kinds]
    try:
        schemas = [pa.schema([("x", kind)]) for kind in kinds]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return None


def _plain(kind: pa.DataType) -> pa.DataType:
    """What Arrow does not merge with the type that has the same values."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind
