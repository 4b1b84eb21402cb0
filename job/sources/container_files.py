"""Which files a URI means: one file, a folder of them, a glob, or a numbered range."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from job.errors import SourceError
from job.sources.kinds import count_kinds, kind_hint, kind_of, uri_hint
from job.sources.left_out import LeftOutCounts, by_suffix
from job.stores.storage import Entry, Folder, open_folder, split_uri

HIDDEN_NAMES = "names that begin with _ or ."
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_WILDCARD = re.compile(r"[*?]")
_GLOB = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


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
    """The files that `uri` means, in the order of their keys (of the numbers, for a range).

    A folder means every file below it with one of the suffixes. `*` and `?` match within a name, `**` any folders.
    Names that begin with `_` or `.` are passed over, as Spark and Hugging Face do, but for a file named in full.
    Raises SourceError where there is none, or what is there is of another kind.
    """
    kind = str(kind_of(suffixes[0]))
    if _RANGE.search(uri):
        return [_named(name, kind) for name in _numbered(uri)]
    if _WILDCARD.search(uri):
        return _matching(uri, kind, left_out)
    folder = open_folder(uri)
    found = _select(folder, "", re.compile(rf"(?s).*(?:{'|'.join(map(re.escape, suffixes))})", re.IGNORECASE), left_out)
    if not found.files and not found.others:
        return [_named(uri, kind)]
    if not found.files:
        none = f"none of the {found.others:,} objects below {uri} ends with {' or '.join(suffixes)}"
        raise SourceError(f"source.uri: {none}{kind_hint(found.kinds)}")
    return found.files


def reopen(uri: str) -> tuple[Folder, str]:
    """A listed file's folder and key, to read places in it."""
    root, key = split_uri(uri)
    return open_folder(root), key


def _named(uri: str, kind: str) -> ContainerFile:
    root, key = split_uri(uri.rstrip("/"))
    folder = open_folder(root)
    entry = folder.head(key) if key else None
    if entry is None:
        there = f"{folder.uri.removesuffix('/')}/{key}"
        raise SourceError(f"source.uri: there is nothing at {there}{uri_hint(kind, uri)}")
    _check_kind(f"{folder.uri.removesuffix('/')}/{key}", kind)
    return ContainerFile(folder, key, entry.size, entry.etag)


def _numbered(uri: str) -> Iterator[str]:
    """`shard-{000..012}.tar`, spelled out; several ranges nest from left to right."""
    numbers = _RANGE.search(uri)
    if numbers is None:
        yield uri
        return
    first, last = numbers[1], numbers[2]
    if int(first) > int(last):
        raise SourceError(f"source.uri: the range {numbers[0]} runs backwards in {uri}")
    for number in range(int(first), int(last) + 1):
        yield from _numbered(f"{uri[: numbers.start()]}{number:0{len(first)}d}{uri[numbers.end() :]}")


def _matching(uri: str, kind: str, left_out: LeftOutCounts) -> list[ContainerFile]:
    literal = uri[: _WILDCARD.search(uri).start()]  # type: ignore[union-attr]
    root = literal[: literal.rfind("/") + 1] or "."
    tokens = re.split(r"(\*\*/|\*\*|\*|\?)", uri[len(literal[: literal.rfind("/") + 1]) :])
    pattern = re.compile("(?s)" + "".join(_GLOB.get(token, re.escape(token)) for token in tokens))
    found = _select(open_folder(root), literal.removeprefix(root) if root != "." else literal, pattern, left_out)
    if not found.files:
        others = f"{found.others:,} others are below {os.path.dirname(literal) or '.'}"
        hint = uri_hint(kind, uri) or kind_hint(found.kinds)
        raise SourceError(f"source.uri: no object matches {uri}; {others}{hint}")
    for file in found.files:
        _check_kind(file.uri, kind)
    return found.files


def _check_kind(uri: str, kind: str) -> None:
    if kind_of(uri) not in (None, kind):
        raise SourceError(f"source.uri: {uri} is read with source.kind: {kind_of(uri)} (got {kind})")


@dataclass
class _Selection:
    """The files whose whole key matches; how many others there are, and what kinds they are for."""

    files: list[ContainerFile] = field(default_factory=list)
    others: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


def _select(folder: Folder, prefix: str, pattern: re.Pattern[str], left_out: LeftOutCounts) -> _Selection:
    found = _Selection()
    for listing in folder.list(prefix, left_out.pass_over):
        others: list[str] = []
        passed_over: list[str] = []
        for row in listing.to_pylist():
            entry = Entry(**row)
            hidden = any(part.startswith(("_", ".")) for part in entry.key.split("/"))
            if hidden or entry.size is None or pattern.fullmatch(entry.key) is None:
                others.append(entry.key)
                if hidden:
                    left_out.add(HIDDEN_NAMES, example=entry.key)
                else:
                    passed_over.append(entry.key)
            else:
                found.files.append(ContainerFile(folder, entry.key, entry.size, entry.etag))
        left_out.add_all(by_suffix(pa.chunked_array([passed_over], pa.string())))
        found.others += len(others)
        found.kinds += count_kinds(others)
    return found
