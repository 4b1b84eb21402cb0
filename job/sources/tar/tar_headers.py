"""The headers of a tar archive, without reading what lies between. Used by `job.sources.tar.tar_members`.

Python's `tarfile` takes a broken or missing header for the archive's end, and so would lose images without a word;
and it costs three times as much a member. Formats: v7, ustar, GNU (long names, large sizes) and pax.
"""

from collections.abc import Generator, Iterator
from typing import BinaryIO, NamedTuple

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
HARD_LINK, SYMLINK, SPARSE = b"1", b"2", b"S"
_WITHOUT_DATA = b"23456"  # symlinks, devices, folders, pipes: a size in their header means nothing
_LONG_NAME, _LONG_LINK, _PAX, _PAX_SUN, _PAX_GLOBAL = b"L", b"K", b"x", b"X", b"g"
_ABOUT_NEXT = frozenset((_LONG_NAME, _LONG_LINK, _PAX, _PAX_SUN, _PAX_GLOBAL))
_LONGEST_EXTENSION = 1 << 20
_STEP = 1 << 20


class Header(NamedTuple):
    """A member as its headers tell of it: `size` bytes of data from `offset`.

    `type` is tar's letter, `S` for every way to be sparse; `link` is what a link points to; `part` is where its archive
    begins, among several that were joined to one file.
    """

    type: bytes
    name: bytes
    link: bytes
    offset: int
    size: int
    part: int


class _Block(NamedTuple):
    type: bytes
    name: bytes
    link: bytes
    size: int
    is_continued: bool  # a sparse member's map goes on behind the header


def read_headers(file: BinaryIO, size: int, start: int = 0) -> Iterator[Header]:
    """Every member of an archive of `size` bytes, and of those that were joined to it behind its end mark (`cat`).

    Seeks before every read. `start` is where one of the joined archives begins. Raises ValueError for what is not a
    tar, or compressed, or cut short, or damaged.
    """
    part: int | None = start
    while part is not None:
        end = yield from _read_archive(file, part, size)
        part = _next_archive(file, end, size)


def _read_archive(file: BinaryIO, part: int, size: int) -> Generator[Header, None, int]:
    """The members up to an end mark; returns where that is."""
    position = part
    extended: dict[str, bytes] = {}
    while (block := _read_block(file, position, part)) is not None:
        data = position + _BLOCK
        is_about_next = block.type in _ABOUT_NEXT
        length = block.size if is_about_next else _decimal(extended.get("size"), block.size, position)
        if block.type in _WITHOUT_DATA or (block.type == HARD_LINK and not _has_data(file, data, length)):
            length = 0
        if block.is_continued:
            data = _skip_sparse_map(file, data)
        position = data + -(-length // _BLOCK) * _BLOCK
        if data + length > size:
            shown = block.name.decode(errors="backslashreplace")
            raise ValueError(f"cut short: {shown!r} ends at byte {data + length:,}, the archive at {size:,}")
        if is_about_next:
            extended |= _read_extension(file, block, data)
            continue
        is_sparse = extended and any(key.startswith("GNU.sparse.") for key in extended)
        name = extended.get("GNU.sparse.name") or extended.get("path", block.name)
        link = extended.get("linkpath", block.link)
        yield Header(SPARSE if is_sparse else block.type, name, link, data, length, part)
        extended = {}
    return position


def _next_archive(file: BinaryIO, end: int, size: int) -> int | None:
    """Where behind an end mark there is more than zeros; tars are filled up with those."""
    position = end + _BLOCK
    while position < size:
        file.seek(position)
        data = file.read(_STEP)
        if rest := data.lstrip(b"\0"):
            return position + (len(data) - len(rest)) // _BLOCK * _BLOCK
        position += len(data) or size
    return None


def _read_block(file: BinaryIO, position: int, part: int) -> _Block | None:
    """The header at a position; None for the block of zeros that ends an archive."""
    file.seek(position)
    block = file.read(_BLOCK)
    if block == _ZEROS:
        return None
    if len(block) < _BLOCK or not _is_checksum_right(block):
        raise ValueError(_what_is_wrong(block, position, part))
    name = _until_nul(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = _until_nul(block[345:500]) + b"/" + name
    kind = block[156:157]
    link = _until_nul(block[157:257]) if block[157] else b""
    return _Block(kind, name, link, _number(block[124:136]), kind == SPARSE and block[482] > 0)


def _what_is_wrong(block: bytes, position: int, part: int) -> str:
    if not position and (packed := [name for magic, name in _COMPRESSED.items() if block.startswith(magic)]):
        return f"it is compressed with {packed[0]}; images in it cannot be read by range, unpack it to a .tar"
    where = f"at byte {position:,}"
    if position and position == part:
        cut = f"`head -c {position}` is the archive before it"
        return f"damaged {where}: what stands behind the archive's end mark is no tar that was joined to it; {cut}"
    if len(block) < _BLOCK:
        return f"cut short {where}: the archive has no end mark" if position else "it is empty, or no tar"
    return f"damaged {where}: this is no tar header" if position else "it is not a tar"


def _has_data(file: BinaryIO, position: int, length: int) -> bool:
    """Whether a hard link has the file's bytes once more, as pax may write them; most only repeat the size."""
    if not length:
        return False
    file.seek(position)
    block = file.read(_BLOCK)
    return len(block) == _BLOCK and block != _ZEROS and not _is_checksum_right(block)


def _skip_sparse_map(file: BinaryIO, position: int) -> int:
    """Where the data of a sparse member of GNU's old kind begins: its map may take more blocks than the header."""
    while True:
        file.seek(position)
        block = file.read(_BLOCK)
        position += _BLOCK
        if len(block) < _BLOCK or not block[504]:
            return position


def _read_extension(file: BinaryIO, block: _Block, position: int) -> dict[str, bytes]:
    """What a GNU or pax member says of the one after it; of a global one nothing is of use here."""
    if block.size > _LONGEST_EXTENSION:
        raise ValueError(f"damaged at byte {position:,}: an extended header of {block.size:,} bytes")
    if block.type == _PAX_GLOBAL:
        return {}
    file.seek(position)
    data = file.read(block.size)
    if block.type in (_LONG_NAME, _LONG_LINK):
        return {"path" if block.type == _LONG_NAME else "linkpath": _until_nul(data)}
    records = {}
    while data.rstrip(b"\0"):
        digits, _, rest = data.partition(b" ")
        length = _decimal(digits, 0, position)
        key, equals, value = rest[: max(0, length - len(digits) - 1)].partition(b"=")
        if not equals:
            raise ValueError(f"damaged at byte {position:,}: this is no extended header")
        records[key.decode(errors="replace")] = value.removesuffix(b"\n")
        data = data[length:]
    return records


def _is_checksum_right(block: bytes) -> bool:
    """The sum of the header's bytes with its own field as spaces; some old tars added signed bytes."""
    rest = block[:148] + block[156:]
    try:
        stated = _number(block[148:156])
    except ValueError:
        return False
    total = sum(rest) + 256
    return stated == total or stated == total - 256 * sum(byte > 127 for byte in rest)


def _number(field: bytes) -> int:
    """Octal digits, or GNU's base 256 where the first bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return int(_until_nul(field).strip() or b"0", 8)


def _decimal(digits: bytes | None, otherwise: int, position: int) -> int:
    if digits is None:
        return otherwise
    if not digits.isdigit():
        raise ValueError(f"damaged at byte {position:,}: this is no extended header")
    return int(digits)


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
