"""Image files in a local folder or below a bucket's prefix, nested as deep as they like."""

from collections import Counter
from collections.abc import Iterator
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import SourceError
from job.sources.kinds import count_kinds, kind_hint, kind_of, packed_hint, uri_hint
from job.sources.left_out import LeftOutCounts, by_suffix
from job.sources.object_images import read_objects
from job.sources.source import ROW_FIELDS, Handle
from job.spec.limits import Limits
from job.spec.spec import FilesSource
from job.stores.storage import open_folder, split_uri

_SCHEMA = pa.schema(ROW_FIELDS)
# (?s): a folder's name may hold a newline.
_PARENT = r"(?s)^(?:.*/)?(?P<name>[^/]+)/[^/]*$"


class FilesReader:
    """Files by their suffix, case ignored; where the URI is one object, that one, whatever its name."""

    def __init__(self, spec: FilesSource, limits: Limits) -> None:
        self._spec = spec
        self._limits = limits

    def rows(self, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        folder = open_folder(self._spec.uri)
        images = others = 0
        kinds: Counter[str] = Counter()
        for listing in folder.list(pass_over=left_out.pass_over):
            is_image = self._is_image(listing["key"])
            files = listing.filter(is_image)
            left_out.add_all(by_suffix(listing.filter(pc.invert(is_image))["key"]))
            images += files.num_rows
            others += listing.num_rows - files.num_rows
            if files.num_rows:
                yield self._to_rows(folder.uri, files)
            elif not images:
                kinds += count_kinds(listing["key"].to_pylist())
        if images:
            return
        single = None if others else self._single()
        if single is None:
            raise SourceError(self._nothing_found(folder.uri, others, kinds))
        yield single

    def read(self, rows: pa.Table) -> Iterator[Handle]:
        return read_objects(rows, self._limits)

    def _is_image(self, keys: pa.ChunkedArray) -> pa.ChunkedArray:
        return reduce(pc.or_, (pc.ends_with(keys, suffix, ignore_case=True) for suffix in self._spec.suffixes))

    def _to_rows(self, root: str, files: pa.Table) -> pa.Table:
        keys = files["key"]
        uris = pc.binary_join_element_wise(pa.scalar(root.removesuffix("/")), keys, "/")
        if self._spec.label_from == "directory":
            expected = pc.struct_field(pc.extract_regex(keys, _PARENT), "name")
        else:
            expected = pa.chunked_array([pa.nulls(files.num_rows, pa.string())])
        return pa.table([uris, files["size"], files["etag"], expected], schema=_SCHEMA)

    def _single(self) -> pa.Table | None:
        """The row of the one object that the URI names; an image is not held to have a name like one."""
        root, key = split_uri(self._spec.uri.rstrip("/"))
        folder = open_folder(root)
        entry = folder.head(key) if key else None
        if entry is None:
            return None
        kind = kind_of(key)
        if kind not in (None, "files"):
            raise SourceError(f"source.uri: {folder.uri}/{key} is read with source.kind: {kind} (got files)")
        if hint := packed_hint(key):
            raise SourceError(f"source.uri: {folder.uri}/{key} is no image{hint}")
        return pa.table([[f"{folder.uri.removesuffix('/')}/{key}"], [entry.size], [entry.etag], [None]], schema=_SCHEMA)

    def _nothing_found(self, uri: str, others: int, kinds: Counter[str]) -> str:
        suffixes = ", ".join(self._spec.suffixes)
        if others:
            none = f"none of the {others:,} objects below {uri} ends with one of source.suffixes: {suffixes}"
            return f"source.uri: {none}{kind_hint(kinds)}"
        nothing = f"there is nothing at {uri}: no such object, and none below it that ends with {suffixes}"
        return f"source.uri: {nothing}{uri_hint('files', self._spec.uri)}"
