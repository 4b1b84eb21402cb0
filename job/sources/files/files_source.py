"""Image files in a local folder or below a bucket's prefix, nested as deep as they like."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import SourceError
from job.sources.files.image_content import ImageContent
from job.sources.files.image_names import PASSED_OVER, ImageNames
from job.sources.files.label_file import LabelFile
from job.sources.kinds import count_kinds, kind_hint, kind_of, packed_hint, uri_hint
from job.sources.left_out import LeftOutCounts, by_suffix
from job.sources.listing import list_objects
from job.sources.object_images import read_objects
from job.sources.runs.run_folders import own_runs_hint
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
        self._names = ImageNames(spec)

    def rows(self, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        folder = open_folder(self._spec.uri)
        images = objects = 0
        kinds: Counter[str] = Counter()
        first = ""
        with self._label_file(folder.uri, left_out) as labels, ImageContent.of(folder, left_out) as content:
            for listing in list_objects(folder, left_out):
                objects += listing.num_rows
                files = self._files(listing, content, left_out)
                images += files.num_rows
                if files.num_rows:
                    first = first or files["key"][0].as_py()
                    yield self._to_rows(folder.uri, files, labels)
                elif not images:
                    kinds += count_kinds(listing["key"].to_pylist())
            if images and labels:
                labels.count(self._spec, left_out, first)
        if images:
            return
        own_runs = own_runs_hint(left_out)
        single = None if objects or own_runs else self._single()
        if single is None:
            raise SourceError(self._nothing_found(folder.uri, objects, kinds, left_out) + own_runs)
        yield single

    def read(self, rows: pa.Table) -> Iterator[Handle]:
        return read_objects(rows, self._limits)

    def _files(self, listing: pa.Table, content: ImageContent, left_out: LeftOutCounts) -> pa.Table:
        """The rows of a listing that are images, by their names, or where any name will do, by their content."""
        listing = self._names.select(listing, left_out)
        is_image = self._names.has_suffix(listing["key"])
        others = listing.filter(pc.invert(is_image))
        if self._spec.takes_any_name and others.num_rows:
            found = content.is_image(others)
            is_image = pc.replace_with_mask(is_image.combine_chunks(), pc.invert(is_image).combine_chunks(), found)
            others = others.filter(pc.invert(found))
        left_out.add_all(by_suffix(others["key"]))
        return listing.filter(is_image)

    def _label_file(self, root: str, left_out: LeftOutCounts) -> AbstractContextManager[LabelFile | None]:
        return LabelFile.read(self._spec, root, left_out) if self._spec.label_file else nullcontext()

    def _to_rows(self, root: str, files: pa.Table, labels: LabelFile | None) -> pa.Table:
        keys = files["key"]
        uris = pc.binary_join_element_wise(pa.scalar(root.removesuffix("/")), keys, "/")
        if labels:
            expected = labels.labels(keys)
        elif self._spec.label_from == "directory":
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

    def _nothing_found(self, uri: str, objects: int, kinds: Counter[str], left_out: LeftOutCounts) -> str:
        if self._spec.takes_any_name:
            wanted = "begins as an image does"
        else:
            wanted = f"ends with one of source.suffixes: {', '.join(self._spec.suffixes)}"
        if objects:
            passed_over = [f"{left_out.count(kind):,} {kind}" for kind in PASSED_OVER if left_out.count(kind)]
            none = "; ".join([f"none of the {objects:,} objects below {uri} {wanted}", *passed_over])
            return f"source.uri: {none}{kind_hint(kinds)}"
        nothing = f"there is nothing at {uri}: no such object, and none below it that {wanted}"
        return f"source.uri: {nothing}{uri_hint('files', self._spec.uri)}"
