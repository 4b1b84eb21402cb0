"""Which of a folder's objects a files source means, by their names: the rest is passed over and counted.

What begins with a dot is hidden, and what file managers, archives and notebooks leave beside images is theirs. A URI
that itself lies below such a folder is read: names count from there.
"""

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from job.sources.files.globs import any_of
from job.sources.left_out import LeftOutCounts
from job.spec.spec import FilesSource

HIDDEN = "hidden names, which begin with a dot"
EXCLUDED = "names that source.exclude matches"
NOT_INCLUDED = "names that source.include does not match"

# Synology's thumbnails, Jupyter's copies, what fsck found, and the forks of macOS, in a ZIP's folder or beside a file.
_THEIRS = {
    "@eaDir/": "names in @eaDir",
    ".ipynb_checkpoints/": "names in .ipynb_checkpoints",
    "lost+found/": "names in lost+found",
    "__MACOSX/": "names in __MACOSX",
    "._": "names that begin with ._",
    ".": HIDDEN,
}
PASSED_OVER = (*_THEIRS.values(), EXCLUDED, NOT_INCLUDED)
_PART = r"(?s)^(?:.*?/)??(?P<part>@eaDir/|\.ipynb_checkpoints/|lost\+found/|__MACOSX/|\._|\.)"
_ANY_PART = r"(?:^|/)(?:\.|@eaDir/|lost\+found/|__MACOSX/)"  # a fifth of a second for a million keys


class ImageNames:
    """The names that a spec's `include`, `exclude` and `suffixes` mean."""

    def __init__(self, spec: FilesSource) -> None:
        self._suffixes = spec.name_suffixes
        self._include = any_of(spec.include) if spec.include else None
        self._exclude = any_of(spec.exclude) if spec.exclude else None

    def select(self, listing: pa.Table, left_out: LeftOutCounts) -> pa.Table:
        """The rows that are nobody else's and are not excluded, whatever their suffix."""
        listing = _without_theirs(listing, left_out)
        if self._exclude is not None:
            listing = _keep(listing, pc.invert(_matches(listing, self._exclude)), EXCLUDED, left_out)
        if self._include is not None:
            listing = _keep(listing, _matches(listing, self._include), NOT_INCLUDED, left_out)
        return listing

    def has_suffix(self, keys: pa.ChunkedArray) -> pa.ChunkedArray:
        """Whether each key ends with a suffix of an image; case is ignored."""
        lower = pc.ascii_lower(keys)  # once: `ignore_case` makes a regular expression of each suffix, 7 µs a key
        return reduce(
            pc.or_,
            (
                pc.ends_with(lower, suffix.lower())
                if suffix.isascii()
                else pc.ends_with(keys, suffix, ignore_case=True)
                for suffix in self._suffixes
            ),
        )


def _without_theirs(listing: pa.Table, left_out: LeftOutCounts) -> pa.Table:
    keys = listing["key"]
    if not pc.any(pc.match_substring_regex(keys, _ANY_PART), min_count=0).as_py():
        return listing
    parts = pc.struct_field(pc.extract_regex(keys, _PART), "part")
    theirs = pa.table([parts, keys], ["part", "key"]).filter(parts.is_valid())
    counts = theirs.group_by("part", use_threads=False).aggregate([("key", "count"), ("key", "first")])
    for row in counts.to_pylist():
        left_out.add(_THEIRS[row["part"]], row["key_count"], row["key_first"])
    return listing.filter(parts.is_null())


def _matches(listing: pa.Table, pattern: str) -> pa.ChunkedArray:
    return pc.match_substring_regex(listing["key"], pattern)


def _keep(listing: pa.Table, kept: pa.ChunkedArray, kind: str, left_out: LeftOutCounts) -> pa.Table:
    others = listing.filter(pc.invert(kept))
    if not others.num_rows:
        return listing
    left_out.add(kind, others.num_rows, others["key"][0].as_py())
    return listing.filter(kept)
