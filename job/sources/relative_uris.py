"""URIs that stand in a file and may be relative to it."""

import posixpath
import re
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from job.stores.storage import split_uri

_ABSOLUTE = r"^([A-Za-z][A-Za-z0-9+.-]*://|/)"
_DOTTED = re.compile(r"(?:^|/)\.\.?(?:/|$)")


def resolve(uris: pa.Array, file_uri: str) -> pa.Array:
    """Relative URIs from the folder of the file that holds them; a null becomes "", which reads as a missing image."""
    uris = pc.fill_null(uris, "")
    if pc.all(pc.match_substring_regex(uris, _ABSOLUTE)).as_py():
        return uris
    absolute = partial(resolve_one, file_uri=file_uri)
    return pa.array([absolute(uri) for uri in uris.to_pylist()], pa.string())


def resolve_one(uri: str, file_uri: str) -> str:
    """One URI, as `resolve` does it."""
    folder = file_uri.rpartition("/")[0]
    if not uri.strip() or re.match(_ABSOLUTE, uri):
        return uri
    if _DOTTED.search(uri) is None:
        return f"{folder}/{uri}"
    root, key = split_uri(f"{folder}/{uri}")
    return f"{root.removesuffix('/')}/{posixpath.normpath(key)}"
