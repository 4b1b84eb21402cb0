"""Which files a URI means: one file, a folder of them, a glob, brace lists and ranges, or several joined by `::`."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from os.path import commonprefix

import pyarrow as pa

from job.errors import SourceError, StoreError
from job.sources.kinds import count_kinds, kind_hint, kind_of, packed_hint, uri_hint
from job.sources.left_out import LeftOutCounts, by_suffix
from job.sources.listing import list_objects
from job.sources.runs.run_folders import names_parts_of_runs, own_runs_hint
from job.sources.uri_patterns import expand, is_pattern, literal_prefix, split_pattern, to_regex
from job.stores.storage import Entry, Folder, open_folder, split_uri

HIDDEN_NAMES = "names that begin with _ or ."
UNREADABLE = "files that cannot be looked at, such as links to nothing"
NAMED_TWICE = "files that source.uri names more than once"
PACKED_PARQUET = "Parquet files that are packed as a whole (unpack them first)"
_PACKED_SUFFIX = r"\.(?:parquet|parq|pq)\.(?:gz|gzip|snappy|zst|zstd|br|brotli|lz4|bz2|xz)"
_PACKED_NAME = re.compile(f"(?is).*{_PACKED_SUFFIX}")
# A name with a comma in braces, brackets or two colons, if something is called so; no two whole URIs.
_MAY_BE_A_NAME = re.compile(r"\[|::(?![A-Za-z0-9+.-]*:?/)|\{[^{}]*,")


@dataclass(frozen=True)
class ContainerFile:
    """One file that holds many images."""

    folder: Folder
    key: str
    size: int
    etag: str

    @property
    def uri(self) -> str:
        return f"{self.folder.uri.removesuffix('/')}/{self.key}"


def find_containers(uri: str, suffixes: tuple[str, ...], left_out: LeftOutCounts) -> list[ContainerFile]:
    """The files that `uri` means, once each: in the order of their keys, or that of a list, a range or joined URIs.

    A folder means every file below it with one of the suffixes. `*`, `?` and `[ab]` match within a name, `**` any
    folders. Names that begin with `_` or `.` are passed over, as Spark and Hugging Face do, unless they are named so.
    What is there under the very name is taken before a pattern. Raises SourceError where there is none, or what is
    there is of another kind.
    """
    kind = str(kind_of(suffixes[0]))
    if _MAY_BE_A_NAME.search(uri) and _is_there(uri):
        return _below(uri, kind, suffixes, left_out)
    found: dict[str, ContainerFile] = {}
    for root, patterns in groupby(expand(uri), lambda name: split_pattern(name)[0] if is_pattern(name) else None):
        for file in _find(root, list(patterns), kind, suffixes, left_out):
            if found.setdefault(file.uri, file) is not file:
                left_out.add(NAMED_TWICE, example=file.uri)
    return list(found.values())


def reopen(uri: str) -> tuple[Folder, str]:
    """A listed file's folder and key, to read places in it."""
    root, key = split_uri(uri)
    return open_folder(root), key


def _is_there(uri: str) -> bool:
    """Whether what looks like a pattern is the name of a file or a folder, such as `download[1].tar`."""
    with suppress(StoreError):  # who may not ask is not told; then it is a pattern
        return _head(uri) is not None or any(table.num_rows for table in open_folder(uri).list())
    return False


def _head(uri: str) -> ContainerFile | None:
    root, key = split_uri(uri.rstrip("/"))
    folder = open_folder(root)
    entry = folder.head(key) if key else None
    return ContainerFile(folder, key, entry.size, entry.etag) if entry else None


def _find(
    root: str | None, names: list[str], kind: str, suffixes: tuple[str, ...], left_out: LeftOutCounts
) -> Iterator[ContainerFile]:
    """Patterns below one root are looked for together; one takes what another passes over."""
    if root is not None:
        yield from _matching(root, names, kind, left_out)
        return
    for name in names:
        if len(names) > 1 and (kind_of(name) == kind or _head(name)):  # by name alone, for who may not list
            yield _named(name, kind)
        else:
            yield from _below(name, kind, suffixes, left_out)


def _named(uri: str, kind: str) -> ContainerFile:
    file = _head(uri)
    if file is None:
        root, key = split_uri(uri.rstrip("/"))
        there = f"{open_folder(root).uri.removesuffix('/')}/{key}"
        raise SourceError(f"source.uri: there is nothing at {there}{uri_hint(kind, uri)}")
    _check_kind(file, kind)
    return file


def _below(uri: str, kind: str, suffixes: tuple[str, ...], left_out: LeftOutCounts) -> list[ContainerFile]:
    """The files of a folder, or the one that is no folder."""
    endings = [re.escape(suffix) for suffix in suffixes] + [_PACKED_SUFFIX] * (kind == "parquet")
    found = _select(open_folder(uri), [uri], "", f"(?i:{to_regex('**/*')}(?:{'|'.join(endings)}))", left_out)
    packed = [file for file in found.files if _is_packed(file)]
    for file in packed:
        left_out.add(PACKED_PARQUET, example=file.uri)
    files = [file for file in found.files if file not in packed] if packed else found.files
    others = found.others + len(packed)
    own_runs = own_runs_hint(left_out)
    if not files and not others and not own_runs:
        return [_named(uri, kind)]
    if not files:
        none = f"none of the {others:,} objects below {uri} ends with {' or '.join(suffixes)}"
        hint = packed_hint(packed[0].uri) if packed else kind_hint(found.kinds) or own_runs
        raise SourceError(f"source.uri: {none}{hint}")
    return files


def _matching(root: str, uris: list[str], kind: str, left_out: LeftOutCounts) -> list[ContainerFile]:
    """What matches one of the patterns, each of which must match something."""
    patterns = [split_pattern(uri)[1] for uri in uris]
    prefix = commonprefix([literal_prefix(pattern) for pattern in patterns])  # noqa: RUF071, of keys
    regexes = [to_regex(pattern) for pattern in patterns]
    found = _select(open_folder(root), uris, prefix, "|".join(regexes), left_out)
    for uri, regex in zip(uris, regexes, strict=True):
        matches = re.compile(f"(?s){regex}").fullmatch
        if not any(matches(file.key) for file in found.files):
            others = f"{found.others:,} others are below {root.rstrip('/') or '/'}"
            hint = uri_hint(kind, uri) or kind_hint(found.kinds) or own_runs_hint(left_out)
            raise SourceError(f"source.uri: no object matches {uri}; {others}{hint}")
    for file in found.files:
        _check_kind(file, kind)
    return found.files


def _check_kind(file: ContainerFile, kind: str) -> None:
    if kind_of(file.uri) not in (None, kind):
        raise SourceError(f"source.uri: {file.uri} is read with source.kind: {kind_of(file.uri)} (got {kind})")
    if kind == "parquet" and _is_packed(file):
        raise SourceError(f"source.uri: {file.uri} is packed as a whole{packed_hint(file.uri)}")


def _is_packed(file: ContainerFile) -> bool:
    """By its first bytes where the name says so: pandas' df.parquet.gzip is Parquet, gzip's x.parquet.gz is not."""
    return _PACKED_NAME.fullmatch(file.key) is not None and file.folder.read_range(file.key, 0, 4) != b"PAR1"


@dataclass
class _Selection:
    """The files that were asked for; how many others there are, and what kinds they are for."""

    files: list[ContainerFile] = field(default_factory=list)
    others: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


def _select(folder: Folder, uris: list[str], prefix: str, regex: str, left_out: LeftOutCounts) -> _Selection:
    """The files whose whole key matches; the others are counted by why not."""
    matches = re.compile(f"(?s){regex}").fullmatch
    found = _Selection()
    for listing in list_objects(folder, left_out, prefix, with_runs=any(map(names_parts_of_runs, uris))):
        others: list[str] = []
        passed_over: list[str] = []
        for row in listing.to_pylist():
            entry = Entry(**row)
            if matches(entry.key) and entry.size is not None:
                found.files.append(ContainerFile(folder, entry.key, entry.size, entry.etag))
                continue
            others.append(entry.key)
            if any(part.startswith(("_", ".")) for part in entry.key.split("/")):
                left_out.add(HIDDEN_NAMES, example=entry.key)
            elif matches(entry.key):
                left_out.add(UNREADABLE, example=entry.key)
            else:
                passed_over.append(entry.key)
        left_out.add_all(by_suffix(pa.chunked_array([passed_over], pa.string())))
        found.others += len(others)
        found.kinds += count_kinds(others)
    return found
