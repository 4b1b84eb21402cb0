"""The members of a tar archive, by header, without reading what lies between. Used by the webdataset source.

Python's `tarfile` takes a broken or missing header for the archive's end, and so would lose images without a word;
and it costs three times as much a member. Formats: ustar, GNU (long names, large sizes) and pax.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from job.errors import SourceError

_BLOCK = 512
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_REGULAR = b"0\x007"
_WITHOUT_DATA = b"123456"  # links, devices, folders, pipes: a size in their header means nothing
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _SPARSE = b"L", b"K", b"x", b"g", b"S"
_LONGEST_EXTENSION = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive: `size` bytes from `offset`."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Header:
    type: bytes
    name: bytes
    size: int


def read_members(file: BinaryIO, size: int, uri: str) -> Iterator[Member]:
    """The regular files of an archive of `size` bytes, in their order. Seeks before every read.

    Raises SourceError for what is not a tar, or compressed, or cut short, or damaged.
    """
    try:
        yield from _read_members(file, size)
    except ValueError as error:
        raise SourceError(f"{uri}: {error}") from error


def _read_members(file: BinaryIO, size: int) -> Iterator[Member]:
    position = 0
    extended: dict[str, bytes] = {}
    while (header := _read_header(file, position)) is not None:
        data = position + _BLOCK
        is_about_next = header.type in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL)
        length = header.size if is_about_next else int(extended.get("size", header.size))
        if header.type in _WITHOUT_DATA:
            length = 0
        position = data + -(-length // _BLOCK) * _BLOCK
        if data + length > size:
            raise ValueError(
                f"cut short: {_text(header.name)!r} ends at byte {data + length:,}, the archive at {size:,}"
            )
        if is_about_next:
            extended |= _read_extension(file, header, data)
            continue
        name = extended.get("path", header.name)
        if header.type == _SPARSE or any(key.startswith("GNU.sparse.") for key in extended):
            raise ValueError(f"{_text(name)!r} is a sparse member, whose bytes do not lie together; pack it anew")
        if header.type in _REGULAR and not name.endswith(b"/"):
            yield Member(_text(name), data, length)
        extended = {}


def _read_header(file: BinaryIO, position: int) -> _Header | None:
    """The header at a position; None for the block of zeros that ends an archive."""
    file.seek(position)
    block = file.read(_BLOCK)
    if len(block) == _BLOCK and block.count(0) == _BLOCK:
        return None
    where = f"at byte {position:,}"
    if position == 0:
        for magic, program in _COMPRESSED.items():
            if block.startswith(magic):
                raise ValueError(
                    f"it is compressed with {program}; images in it cannot be read by range, unpack it to a .tar"
                )
    if len(block) < _BLOCK:
        raise ValueError(f"cut short {where}: the archive has no end mark" if position else "it is empty, or no tar")
    if not _is_checksum_right(block):
        raise ValueError(f"damaged {where}: this is no tar header" if position else "it is not a tar")
    name = _until_nul(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = _until_nul(block[345:500]) + b"/" + name
    return _Header(block[156:157], name, _number(block[124:136]))


def _read_extension(file: BinaryIO, header: _Header, position: int) -> dict[str, bytes]:
    """What a GNU or pax member says of the one after it; of a global one nothing is of use here."""
    if header.size > _LONGEST_EXTENSION:
        raise ValueError(f"damaged at byte {position:,}: an extended header of {header.size:,} bytes")
    file.seek(position)
    data = file.read(header.size)
    if header.type in (_LONG_LINK, _PAX_GLOBAL):
        return {}
    if header.type == _LONG_NAME:
        return {"path": _until_nul(data)}
    records = {}
    while data:
        length, _, rest = data.partition(b" ")
        key, _, value = rest[: int(length) - len(length) - 1].partition(b"=")
        records[key.decode()] = value.removesuffix(b"\n")
        data = data[int(length) :] if int(length) > 0 else b""
    return records


def _is_checksum_right(block: bytes) -> bool:
    """The sum of the header's bytes with its own field as spaces; some old tars added signed bytes."""
    rest = block[:148] + block[156:]
    try:
        stated = _number(block[148:156])
    except ValueError:
        return False
    return stated == sum(rest) + 256 or stated == sum(rest) + 256 - 256 * sum(byte > 127 for byte in rest)


def _number(field: bytes) -> int:
    """Octal digits, or GNU's base 256 where the first bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return int(_until_nul(field).strip() or b"0", 8)


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise ValueError(f"the member name {name!r} is not UTF-8 and has no URI; rename it") from None
