"""URIs that stand in a file: they may be relative to it, and are refused at once where they are of no store."""

import posixpath
import re
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import SourceError
from job.stores.storage import split_uri
from job.stores.uris import canonical

# Most URIs, in their one form: these need no second look.
_USUAL = r"^(?:(?:s3|gs|az)://(?:anonymous@)?[^/@]+/|/)"
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|/|[A-Za-z][A-Za-z0-9+.-]+:/")
_DOTTED = re.compile(r"(?:^|/)\.\.?(?:/|$)")


def resolve(uris: pa.Array, file_uri: str, first_row: int = 0) -> pa.Array:
    """Relative URIs from the folder of the file that holds them; a null becomes "", which reads as a missing image.

    A URI with a scheme stays as it is written, so that the file's rows still join. Raises SourceError, with the row
    (counted from `first_row`) and the value, for one that no store reads.
    """
    uris = pc.fill_null(uris, "")
    usual = pc.match_substring_regex(uris, _USUAL)
    if pc.all(usual).as_py():
        return uris
    absolute = partial(_absolute, folder=file_uri.rpartition("/")[0])
    found = uris.to_pylist()
    for index in pc.indices_nonzero(pc.invert(usual)).to_pylist():
        try:
            found[index] = absolute(found[index])
        except ValueError as error:
            raise SourceError(f"{file_uri}: row {first_row + index:,}: {_shown(found[index])}: {error}") from error
    return pa.array(found, pa.string())


def _absolute(uri: str, folder: str) -> str:
    """Raises ValueError for a URI that is not read."""
    if not uri.strip():
        return uri
    known = canonical(uri)
    if known != uri or _ABSOLUTE.match(uri):
        return uri
    if _DOTTED.search(uri) is None:
        return f"{folder}/{uri}"
    root, key = split_uri(f"{folder}/{uri}")
    return f"{root.removesuffix('/')}/{posixpath.normpath(key)}"


def _shown(uri: str) -> str:
    """On one line, not too long, and without what stands before an @, which may be a secret key."""
    return repr(re.sub(r"(://)(?!anonymous@)[^/@]+@", r"\1…@", uri)[:100])
