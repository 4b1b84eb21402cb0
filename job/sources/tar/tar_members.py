"""The files in a tar archive: where the bytes of each lie, links among them. Used by the webdataset source."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from job.errors import SourceError
from job.sources.left_out import LeftOutCounts
from job.sources.tar.tar_headers import HARD_LINK, SPARSE, SYMLINK, Header, read_headers

_REGULAR = b"0\x007"
_WITHOUT_FILE = b"5DV"  # folders, GNU's lists of what is in one, and the name of the whole archive
_LINKS = (HARD_LINK, SYMLINK)
_MOST_HOPS = 40  # as Linux follows
_LEFT_OUT = {
    HARD_LINK: "hard links to no file of their archive",
    SYMLINK: "symlinks to no file of their archive",
    SPARSE: "sparse members, whose bytes do not lie together (pack them without --sparse)",
    b"M": "rests of members that begin in another volume",
    **dict.fromkeys((b"3", b"4", b"6"), "devices and pipes in archives"),
}
_OTHER = "members of archives of an unknown type"
_NO_UTF8 = re.compile("[\udc80-\udcff]")


class Member(NamedTuple):
    """A file in an archive: `size` bytes from `offset`, which are another member's where it is a link to that.

    Bytes of the name that are not UTF-8 are lone surrogates in it. `part` tells apart archives that were joined.
    """

    name: str
    offset: int
    size: int
    part: int = 0


def read_members(file: BinaryIO, size: int, uri: str, left_out: LeftOutCounts) -> Iterator[Member]:
    """The files of an archive of `size` bytes, and of those joined to it, in their order. Seeks before every read.

    A link is what it points to; what cannot be read, or points out of the archive, is counted. Raises SourceError for
    what is not a tar, or compressed, or cut short, or damaged.
    """
    try:
        yield from _read_members(file, size, uri, left_out)
    except ValueError as error:
        raise SourceError(f"{uri}: {error}") from error


def escape_member(name: str) -> str:
    """A member's name as it stands in a URI and can be printed: `#`, `%` and what is not UTF-8 are escaped."""
    escaped = name.replace("%", "%25").replace("#", "%23")
    return escaped if escaped.isascii() else _NO_UTF8.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", escaped)


def member_uri(uri: str, name: str) -> str:
    """`ARCHIVE#MEMBER`."""
    return f"{uri}#{escape_member(name)}"


def _read_members(file: BinaryIO, size: int, uri: str, left_out: LeftOutCounts) -> Iterator[Member]:
    links: _Links | None = None
    for header in read_headers(file, size):
        found: Header | None = None
        if _is_file(header):
            found = header
        elif header.type in _LINKS:
            if links is None or links.part != header.part:
                links = _Links(file, size, header.part)
            found = links.file_behind(header)
        elif header.type in _WITHOUT_FILE or header.type in _REGULAR:
            continue
        name = header.name.decode(errors="surrogateescape")
        if found is None:
            left_out.add(_LEFT_OUT.get(header.type, _OTHER), example=member_uri(uri, name))
        else:
            yield Member(name, found.offset, found.size, header.part)


def _is_file(header: Header) -> bool:
    """A hard link that has bytes of its own is one. Tars older than ustar mark a folder by its name alone."""
    if header.type in _REGULAR:
        return not header.name.endswith(b"/")
    return header.type == HARD_LINK and header.size > 0


class _Links:
    """Where links of one archive lead: its names are read when the first link is met, since few archives have any."""

    def __init__(self, file: BinaryIO, size: int, part: int) -> None:
        self.part = part
        self._by_name: defaultdict[bytes, list[Header]] = defaultdict(list)
        for header in read_headers(file, size, part):
            if header.part != part:
                break
            self._by_name[posixpath.normpath(header.name)].append(header)

    def file_behind(self, link: Header) -> Header | None:
        """The file that a link points to, over other links; None where it is not in the archive."""
        for _ in range(_MOST_HOPS):
            target = self._next(link)
            if target is None or _is_file(target):
                return target
            if target.type not in _LINKS:
                return None
            link = target
        return None

    def _next(self, link: Header) -> Header | None:
        """As unpacking would have it: a hard link is to what came before it, a symlink to what is there in the end."""
        if link.type == HARD_LINK:
            named = self._by_name.get(posixpath.normpath(link.link), [])
            return next((each for each in reversed(named) if each.offset < link.offset), None)
        path = posixpath.join(posixpath.dirname(link.name), link.link)
        named = self._by_name.get(posixpath.normpath(path), [])
        return named[-1] if named else None
