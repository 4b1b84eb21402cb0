"""URIs that stand in a file: they may be relative to it, and are refused at once where they are of no store."""

import posixpath
import re

import pyarrow as pa
import pyarrow.compute as pc

from job.sources.kinds import kind_of
from job.stores.storage import split_uri
from job.stores.uris import canonical

# Most URIs, in their one form: these need no second look.
_USUAL = r"^(?:(?:s3|gs|az)://(?:anonymous@)?[^/@]+/.|/)"
# Absolute, or with a scheme, which may be one that is refused.
_STAYS = (
    r"^(?:/|[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z][A-Za-z0-9+.-]+:/|(?i:s3[an]?|gc?s|az|azure|abfss?|wasbs?):"
    r"|(?i:data):[\w.+-]*/?[\w.+-]*[;,])"
)
_NO_OBJECT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*/?")
_OF_OTHER_KINDS = r"(?i)\.(?:parquet|pq|tar|csv|tsv|jsonl|ndjson)(?:\.gz)?$"
_DOTTED = re.compile(r"(?:^|/)\.\.?(?:/|$)")


def resolve(uris: pa.Array, file_uri: str) -> pa.Array:
    """Relative URIs from the folder of the file that holds them; a null becomes "", which reads as a missing image.

    A URI with a scheme stays as it is written, so that the file's rows still join; `first_unreadable` tells of one that
    no store reads.
    """
    uris = pc.fill_null(uris, "")
    stays = pc.or_(pc.match_substring_regex(uris, _STAYS), pc.equal(pc.utf8_trim_whitespace(uris), ""))
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
    if not uri.strip() or re.match(_STAYS, uri):
        return uri
    folder = file_uri.rpartition("/")[0]
    if _DOTTED.search(uri) is None:
        return f"{folder}/{uri}"
    root, key = split_uri(f"{folder}/{uri}")
    return f"{root.removesuffix('/')}/{posixpath.normpath(key)}"


def first_unreadable(uris: pa.Array) -> tuple[int, str] | None:
    """The place of the first URI that cannot be an image's, and why; None where all can. "" can, as a missing image."""
    unusual = pc.indices_nonzero(pc.invert(pc.match_substring_regex(uris, _USUAL))).to_pylist()
    place = next((index for index in unusual if _why_not(uris[index].as_py())), None)
    bad = [] if place is None else [(place, f"{_shown(uris[place].as_py())}: {_why_not(uris[place].as_py())}")]
    other = pc.index(pc.match_substring_regex(uris, _OF_OTHER_KINDS), True).as_py()
    if other >= 0:
        uri = uris[other].as_py()
        bad.append((other, f"{_shown(uri)} is read with source.kind: {kind_of(uri)}"))
    return min(bad, default=None)


def _why_not(uri: str) -> str | None:
    try:
        place = canonical(uri)
    except ValueError as error:
        return str(error)
    return "it names a bucket and no object" if _NO_OBJECT.fullmatch(place) else None


def _shown(uri: str) -> str:
    """On one line, not too long, and without what stands before an @, which may be a secret key."""
    return repr(re.sub(r"(://)(?!anonymous@)[^/@]+@", r"\1…@", uri)[:100])
