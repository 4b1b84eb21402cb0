"""URIs that stand in a file and may be relative to it."""

import posixpath
import re

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import StoreError
from job.sources.kinds import kind_of
from job.stores.storage import split_uri

_ABSOLUTE = r"^([A-Za-z][A-Za-z0-9+.-]*://|/)"
_HEAD = r"(?s)^(?P<head>[A-Za-z][A-Za-z0-9+.-]*://[^/]*)(?P<key>.*)$"
_OF_OTHER_KINDS = r"(?i)\.(?:parquet|pq|tar|csv|tsv|jsonl|ndjson)(?:\.gz)?$"
_DOTTED = re.compile(r"(?:^|/)\.\.?(?:/|$)")


def resolve(uris: pa.Array, file_uri: str) -> pa.Array:
    """Relative URIs from the folder of the file that holds them; a null becomes "", which reads as a missing image."""
    uris = pc.fill_null(uris, "")
    stays = pc.or_(pc.match_substring_regex(uris, _ABSOLUTE), pc.equal(pc.utf8_trim_whitespace(uris), ""))
    if pc.all(stays).as_py():
        return uris
    below = pc.binary_join_element_wise(file_uri.rpartition("/")[0], uris, "/")
    is_dotted = pc.and_(pc.invert(stays), pc.match_substring_regex(uris, _DOTTED.pattern))
    resolved = pc.if_else(stays, uris, below)
    if not pc.any(is_dotted).as_py():
        return resolved
    dotted = [resolve_one(uri, file_uri) for uri in uris.filter(is_dotted).to_pylist()]
    return pc.replace_with_mask(resolved, is_dotted, pa.array(dotted, pa.string()))


def resolve_one(uri: str, file_uri: str) -> str:
    """One URI, as `resolve` does it."""
    folder = file_uri.rpartition("/")[0]
    if not uri.strip() or re.match(_ABSOLUTE, uri):
        return uri
    if _DOTTED.search(uri) is None:
        return f"{folder}/{uri}"
    root, key = split_uri(f"{folder}/{uri}")
    return f"{root.removesuffix('/')}/{posixpath.normpath(key)}"


def first_unreadable(uris: pa.Array) -> tuple[int, str] | None:
    """The place of the first URI that cannot be an image's, and why; None where all can. "" can, as a missing image."""
    parts = pc.extract_regex(uris, _HEAD)
    heads, keys = pc.struct_field(parts, "head"), pc.struct_field(parts, "key")
    bad: list[tuple[int, str]] = []
    for head in heads.unique().to_pylist():
        if head is not None and _why_not(f"{head}/x"):
            place = pc.index(heads, head).as_py()
            bad.append((place, _why_not(uris[place].as_py()) or ""))
    for is_bad, why in (
        (pc.is_in(keys, pa.array(["", "/"])), "names a bucket and no object"),
        (pc.match_substring_regex(uris, _OF_OTHER_KINDS), ""),
    ):
        place = pc.index(pc.fill_null(is_bad, False), True).as_py()
        if place >= 0:
            uri = uris[place].as_py()
            bad.append((place, f"{uri} {why or f'is read with source.kind: {kind_of(uri)}'}"))
    return min(bad, key=lambda found: found[0], default=None)


def _why_not(uri: str) -> str | None:
    try:
        split_uri(uri)
    except StoreError as error:
        return str(error)
    return None
