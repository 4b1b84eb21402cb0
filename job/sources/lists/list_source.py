"""A list of image URIs: a text file, a CSV, JSON Lines, imagefolder's metadata, or a bucket's inventory."""

from collections.abc import Iterator, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import SourceError
from job.sources.container_files import ContainerFile, find_containers
from job.sources.kinds import IMAGES
from job.sources.left_out import LeftOutCounts, by_suffix
from job.sources.lists.inventory import Inventory, inventory_of, is_google_report, read_manifest
from job.sources.lists.list_columns import KeptColumns, as_labels, pick_uri_column
from job.sources.lists.list_formats import LINE, Csv, JsonLines, Lines, ListFormat
from job.sources.lists.text_stream import plain_name
from job.sources.object_images import read_objects
from job.sources.relative_uris import first_unreadable, resolve
from job.sources.source import ROW_FIELDS, Handle
from job.spec.limits import Limits
from job.spec.spec import ListSource

# What a folder has that is its list: imagefolder's.
_IN_A_FOLDER = ("metadata.jsonl", "metadata.csv")
# (?s): a folder's name may hold a newline.
_PARENT = r"(?s)(?:^|/)(?P<name>[^/]+)/[^/]*$"


class ListReader:
    """One row for each URI of the list, which may repeat; relative ones start at the file that holds them."""

    def __init__(self, spec: ListSource, limits: Limits) -> None:
        self._spec = spec
        self._limits = limits
        self._label_column = None if spec.label_from in ("none", "directory") else spec.label_from

    def rows(self, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        # What lies beside lists is not of them, so nobody misses it.
        files = find_containers(self._spec.uri, _IN_A_FOLDER, LeftOutCounts())
        opened = [(file, self._open(file, left_out)) for file in files]
        kept = KeptColumns(self._spec.keep, [each for _, each in opened if not isinstance(each, Inventory)])
        layout = pa.schema([*ROW_FIELDS, *kept.fields(self._spec.limit)])
        images = labels = 0
        for file, each in opened:
            tables = (
                self._objects(each, left_out)
                if isinstance(each, Inventory)
                else self._named(file, each, kept, left_out)
            )
            for table in tables:
                images += table.num_rows
                labels += table.num_rows - table["expected"].null_count
                if table.num_rows:
                    yield table.select(layout.names).cast(layout)
        if not images:
            raise SourceError(f"source.uri: {self._spec.uri} names no images")
        if self._label_column is not None and not labels:
            raise SourceError(f"source.label_from: no row of {self._spec.uri} has a value for {self._label_column!r}")

    def read(self, rows: pa.Table) -> Iterator[Handle]:
        return read_objects(rows, self._limits)

    def _open(self, file: ContainerFile, left_out: LeftOutCounts) -> ListFormat | Inventory:
        name = plain_name(file.key)
        found: ListFormat | Inventory
        if name.endswith(".json"):
            inventory = inventory_of(file, read_manifest(file))
            if inventory is None:
                raise SourceError(f"source.uri: {file.uri} is no manifest of an inventory; a list in JSON is .jsonl")
            found = inventory
        elif name.endswith((".csv", ".tsv")):
            csv = Csv(file, "\t" if name.endswith(".tsv") else None)
            is_report = self._spec.uri_column is None and is_google_report(csv.columns())
            found = Inventory("gs", [file]) if is_report else csv
        elif name.endswith((".jsonl", ".ndjson")):
            found = JsonLines(file)
        else:
            found = Lines(file, left_out)
        if isinstance(found, Inventory | Lines):
            self._refuse_columns(file, "an inventory" if isinstance(found, Inventory) else "a list of lines")
        return found

    def _refuse_columns(self, file: ContainerFile, what: str) -> None:
        asked = {"uri_column": self._spec.uri_column, "label_from": self._label_column, "keep": self._spec.keep}
        for key, value in asked.items():
            if value:
                raise SourceError(f"source.{key}: {file.uri} is {what}, which has no columns for it (got {value!r})")

    def _objects(self, inventory: Inventory, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        for roots, listing in inventory.listings(left_out):
            is_image = _ends_with(listing["key"], self._spec.suffixes or IMAGES)
            left_out.add_all(by_suffix(listing.filter(pc.invert(is_image))["key"]))
            uris = pc.binary_join_element_wise(roots, listing["key"], "")
            table = pa.table({"uri": uris, "size": listing["size"], "etag": listing["etag"]}).filter(is_image)
            yield table.append_column("expected", self._directory(table["uri"]))

    def _named(
        self, file: ContainerFile, form: ListFormat, kept: KeptColumns, left_out: LeftOutCounts
    ) -> Iterator[pa.Table]:
        uri_column = pick_uri_column(self._spec.uri_column, form, file)
        others = [name for name in (self._label_column, *self._spec.keep) if name is not None]
        kept.check(form, file, self._label_column)
        for table in form.rows(uri_column, list(dict.fromkeys(others))):
            uris = resolve(table["uri"].combine_chunks(), file.uri)
            found = {"uri": uris, "size": pa.nulls(len(uris), pa.int64()), "etag": pa.nulls(len(uris), pa.string())}
            found |= kept.of(table, file)
            found["expected"] = self._labels(table, uris, file)
            rows = pa.table({**found, LINE: table[LINE]})
            if self._spec.suffixes is not None:
                is_image = _ends_with(rows["uri"], self._spec.suffixes)
                left_out.add_all(by_suffix(rows.filter(pc.invert(is_image))["uri"]))
                rows = rows.filter(is_image)
            self._check(rows, form, file)
            yield rows

    def _labels(self, table: pa.Table, uris: pa.Array, file: ContainerFile) -> pa.Array:
        if self._label_column is not None:
            return as_labels(table[self._label_column].combine_chunks(), self._label_column, file)
        return self._directory(uris)

    def _directory(self, uris: pa.Array) -> pa.Array:
        if self._spec.label_from != "directory":
            return pa.nulls(len(uris), pa.string())
        return pc.struct_field(pc.extract_regex(uris, _PARENT), "name")

    def _check(self, rows: pa.Table, form: ListFormat, file: ContainerFile) -> None:
        bad = first_unreadable(rows["uri"].combine_chunks())
        if bad is not None:
            row, why = bad
            line = form.line_of(rows[LINE][row].as_py())
            raise SourceError(f"source.uri: {file.uri}, line {line:,}: {why}")


def _ends_with(names: pa.ChunkedArray, suffixes: Sequence[str]) -> pa.ChunkedArray:
    return reduce(pc.or_, (pc.ends_with(names, suffix, ignore_case=True) for suffix in suffixes))
