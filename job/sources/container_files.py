"""Which files a URI means: one file, a folder of them, a glob, or a numbered range."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from job.errors import SourceError
from job.stores.storage import Entry, Folder, open_folder, split_uri

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


def find_containers(uri: str, suffixes: tuple[str, ...]) -> list[ContainerFile]:
    """The files that `uri` means, in the order of their keys (of the numbers, for a range).

    A folder means every file below it with one of the suffixes. `*` and `?` match within a name, `**` any folders.
    Names that begin with `_` or `.` are passed over, as Spark and Hugging Face do, but for a file named in full.
    Raises SourceError where there is none.
    """
    if _RANGE.search(uri):
        return [_named(name) for name in _numbered(uri)]
    if _WILDCARD.search(uri):
        return _matching(uri)
    folder = open_folder(uri)
    found, others = _select(folder, "", re.compile(rf"(?s).*(?:{'|'.join(map(re.escape, suffixes))})", re.IGNORECASE))
    if not found and not others:
        return [_named(uri)]
    if not found:
        raise SourceError(f"source.uri: none of the {others:,} objects below {uri} ends with {' or '.join(suffixes)}")
    return found


def reopen(uri: str) -> tuple[Folder, str]:
    """A listed file's folder and key, to read places in it."""
    root, key = split_uri(uri)
    return open_folder(root), key


def _named(uri: str) -> ContainerFile:
    root, key = split_uri(uri.rstrip("/"))
    folder = open_folder(root)
    entry = folder.head(key) if key else None
    if entry is None:
        raise SourceError(f"source.uri: there is nothing at {uri}")
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


def _matching(uri: str) -> list[ContainerFile]:
    literal = uri[: _WILDCARD.search(uri).start()]  # type: ignore[union-attr]
    root = literal[: literal.rfind("/") + 1] or "."
    tokens = re.split(r"(\*\*/|\*\*|\*|\?)", uri[len(literal[: literal.rfind("/") + 1]) :])
    pattern = re.compile("(?s)" + "".join(_GLOB.get(token, re.escape(token)) for token in tokens))
    found, others = _select(open_folder(root), literal.removeprefix(root) if root != "." else literal, pattern)
    if not found:
        raise SourceError(
            f"source.uri: no object matches {uri}; {others:,} others are below {os.path.dirname(literal)}"
        )
    return found


def _select(folder: Folder, prefix: str, pattern: re.Pattern[str]) -> tuple[list[ContainerFile], int]:
    """The files whose whole key matches, and how many others there are."""
    found: list[ContainerFile] = []
    others = 0
    for listing in folder.list(prefix):
        for row in listing.to_pylist():
            entry = Entry(**row)
            hidden = any(part.startswith(("_", ".")) for part in entry.key.split("/"))
            if hidden or entry.size is None or pattern.fullmatch(entry.key) is None:
                others += 1
            else:
                found.append(ContainerFile(folder, entry.key, entry.size, entry.etag))
    return found, others
