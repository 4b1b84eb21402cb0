"""Which kind of source a file is for, by its name: the hint where a spec names another kind, or none that reads it."""

import re
from collections import Counter
from collections.abc import Iterable

from job.spec.spec import FilesSource
from job.stores.uris import unescaped

PARQUET = (".parquet", ".parq", ".pq")
TAR = (".tar",)
# Not .txt: not every one is a list.
LISTS = tuple(f"{suffix}{packed}" for suffix in (".csv", ".tsv", ".jsonl", ".ndjson") for packed in ("", ".gz"))
IMAGES: tuple[str, ...] = FilesSource.model_fields["suffixes"].default
_PACKED = (".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_KINDS = {"parquet": PARQUET, "webdataset": TAR, "list": LISTS, "files": IMAGES}
_PATTERN = re.compile(r"[*?]|\{\d+\.\.\d+\}|\{[^{}]*,|\[[^\]]+\]|::")


def kind_of(name: str) -> str | None:
    """`files`, `parquet`, `webdataset` or `list`; None for what none of them reads."""
    plain = name.rstrip("/").casefold()
    return next((kind for kind, suffixes in _KINDS.items() if plain.endswith(suffixes)), None)


def count_kinds(names: Iterable[str]) -> Counter[str]:
    """How many of the names are for each kind of source."""
    return Counter(kind for name in names if (kind := kind_of(name)))


def kind_hint(kinds: Counter[str]) -> str:
    """`; 12 of them are for source.kind: parquet` to end a sentence with, or nothing."""
    if not kinds:
        return ""
    kind, files = kinds.most_common(1)[0]
    return f"; {files:,} of them {'is' if files == 1 else 'are'} for source.kind: {kind}"


def uri_hint(kind: str, uri: str) -> str:
    """What a URI alone says of why a source of `kind` finds no images there, or nothing."""
    meant = kind_of(uri)
    if meant and meant != kind:
        return f"; source.kind: {meant} reads such files"
    if kind == "files" and _PATTERN.search(uri):
        return "; source.kind: files takes a folder and source.suffixes, and no patterns"
    if (plain := unescaped(uri)) != uri:
        return f"; a percent sign is itself there, so where it escapes write {plain}"
    return packed_hint(uri)


def packed_hint(uri: str) -> str:
    """How to go on with a file that is packed, by its name; nothing for another."""
    if not uri.casefold().rstrip("/").endswith(_PACKED):
        return ""
    return "; what is packed is not read: unpack it to a folder, a packed tar to a .tar"
