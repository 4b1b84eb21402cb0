"""The columns of a list: which one has the URIs, labels as texts, and one type for each that is kept."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from job.errors import SourceError
from job.sources.container_files import ContainerFile
from job.sources.kinds import kind_of
from job.sources.lists.list_formats import URI_COLUMNS, Csv, JsonLines, ListFormat, as_json_text
from job.terminal.spelling import did_you_mean


def pick_uri_column(asked: str | None, form: ListFormat, file: ContainerFile) -> str | None:
    """The column of URIs: the one that the spec names, or that has one of the usual names, or the only one.

    None for a list of lines. Raises SourceError where there is none.
    """
    columns = form.columns()
    if columns is None:
        columns = [*form.first()] if isinstance(form, JsonLines) else []
        if asked is not None and "." in asked:
            return asked
    elif not columns:
        return None
    _check_header(columns, file, form)
    if asked is not None:
        if columns.count(asked) == 1 or (isinstance(form, JsonLines) and asked in columns):
            return asked
        raise _not_there("uri_column", asked, columns, file)
    usual = [name for name in URI_COLUMNS if columns.count(name) == 1]
    if not usual and len(columns) != 1:
        said = f"{file.uri} has no column named {', '.join(URI_COLUMNS)}; name the one with the URIs"
        raise SourceError(f"source.uri_column: {said}: {', '.join(columns)}")
    return usual[0] if usual else columns[0]


class KeptColumns:
    """The kept columns of some lists. A CSV's are texts; JSON's have the type that all their values have.

    Where they have none in common they are JSON texts.
    """

    def __init__(self, names: Sequence[str], forms: Sequence[ListFormat]) -> None:
        self._names = names
        self._forms = forms
        self._types: dict[str, pa.DataType] = {}

    def fields(self, limit: int | None) -> list[pa.Field]:
        """JSON of which something is kept is read once for it: the first table needs the type of the last one's values.

        Raises SourceError for a key that no object has.
        """
        found: dict[str, pa.DataType | None] = {name: pa.null() for name in self._names}
        rows = 0
        for form in self._forms if self._names else []:
            for table in _types(form, self._names):
                found = {name: _common(kind, table.field(name).type) for name, kind in found.items()}
                rows += table.num_rows
                if limit is not None and rows >= limit:
                    break
        for name, kind in found.items():
            if kind is not None and pa.types.is_null(kind) and limit is None:
                raise SourceError(f"source.keep: no object in the list has a value for {name!r}")
            self._types[name] = pa.string() if kind is None or pa.types.is_null(kind) else kind
        return [pa.field(name, kind) for name, kind in self._types.items()]

    def check(self, form: ListFormat, file: ContainerFile, label: str | None) -> None:
        """Raises SourceError where a CSV has not the columns."""
        columns = form.columns()
        if columns is None:
            return
        for key, names in (("label_from", [label] if label else []), ("keep", self._names)):
            for name in names:
                if columns.count(name) != 1:
                    raise _not_there(key, name, columns, file)

    def of(self, table: pa.Table, file: ContainerFile) -> Mapping[str, pa.Array]:
        return {name: self._fit(table[name].combine_chunks(), name, file) for name in self._names}

    def _fit(self, values: pa.Array, name: str, file: ContainerFile) -> pa.Array:
        kind = self._types[name]
        if pa.types.is_string(kind) and not pa.types.is_string(values.type):
            return pa.array([as_json_text(value) for value in values.to_pylist()], kind)
        try:
            return values.cast(kind)
        except pa.ArrowInvalid as error:
            said = f"{file.uri} has values of {name!r} that {kind}, the type of the others, cannot hold: {error}"
            raise SourceError(f"source.keep: {said}") from error


def as_labels(values: pa.Array, name: str, file: ContainerFile) -> pa.Array:
    """Labels as texts; numbers and flags as JSON writes them. Raises SourceError for what is neither."""
    if pa.types.is_string(values.type):
        return values
    if pa.types.is_nested(values.type):
        raise SourceError(
            f"source.label_from: {name!r} must hold texts or numbers, not lists or objects, as in {file.uri}"
        )
    return pa.array([as_json_text(value) for value in values.to_pylist()], pa.string())


def _types(form: ListFormat, names: Sequence[str]) -> Iterator[pa.Table]:
    if isinstance(form, Csv):
        yield pa.table([pa.array([], pa.string())] * len(names), list(names))
    else:
        yield from form.rows(None, names)


def _common(one: pa.DataType | None, other: pa.DataType) -> pa.DataType | None:
    if one is None or one == other:
        return one
    try:
        return (
            pa.unify_schemas([pa.schema([("x", kind)]) for kind in (one, other)], promote_options="permissive")
            .field(0)
            .type
        )
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return None


def _check_header(columns: Sequence[str], file: ContainerFile, form: ListFormat) -> None:
    """A first line that is a row would be lost for a header."""
    row = next((name for name in columns if "://" in name or kind_of(name) == "files"), None)
    if row is not None and isinstance(form, Csv):
        raise SourceError(
            f"source.uri: {file.uri} has no header, for its first line has {row!r}; put names of columns above"
        )


def _not_there(key: str, name: str, columns: Sequence[str], file: ContainerFile) -> SourceError:
    often = "more than one" if name in columns else "no"
    hint = did_you_mean(name, columns)
    return SourceError(
        f"source.{key}: {file.uri} has {often} column {name!r}; its columns are {', '.join(columns)}{hint}"
    )
