"""The tags of a TIFF's first directory, read without a word of its pixels, in all four layouts of the format.

For what Pillow cannot open: it tells why not, and big-endian BigTIFF is among that. RAW files of cameras are TIFFs,
too.
"""

import struct
from collections.abc import Mapping
from typing import Any

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
SUBFILE_TYPE, MAKE, STRIPS, SAMPLES, PLANES, TILES, SUB_IFDS = 254, 271, 273, 277, 284, 324, 330
SAMPLE_FORMAT, DNG_VERSION = 339, 50706

Tags = Mapping[int, tuple[int, ...]]

_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MOST_VALUES = 64  # of one tag: enough for what is asked of it
_MOST_TAGS = 4096


def read_tags(data: bytes) -> Tags:
    """Whole numbers by tag; of other types, an empty tuple. Nothing at all where the directory is not whole."""
    order = "<" if data.startswith(b"II") else ">"
    try:
        if 43 in data[2:4]:
            (at,) = struct.unpack_from(f"{order}Q", data, 8)
            (count,) = struct.unpack_from(f"{order}Q", data, at)
            entries, entry, inline = at + 8, struct.Struct(f"{order}HHQ8s"), 8
        else:
            (at,) = struct.unpack_from(f"{order}I", data, 4)
            (count,) = struct.unpack_from(f"{order}H", data, at)
            entries, entry, inline = at + 2, struct.Struct(f"{order}HHI4s"), 4
        found = (entry.unpack_from(data, entries + n * entry.size) for n in range(min(count, _MOST_TAGS)))
        return {tag: _values(data, order, inline, kind, count, value) for tag, kind, count, value in found}
    except (struct.error, OverflowError):  # the latter of an offset beyond 63 bits
        return {}


def _values(data: bytes, order: str, inline: int, kind: int, count: int, value: bytes) -> tuple[int, ...]:
    letter = _INTEGERS.get(kind)
    if letter is None:
        return ()
    layout = struct.Struct(f"{order}{min(count, _MOST_VALUES)}{letter}")
    if count * struct.calcsize(f"{order}{letter}") <= inline:
        return layout.unpack_from(value)
    return layout.unpack_from(data, int.from_bytes(value, "little" if order == "<" else "big"))


def is_raw(tags: Tags) -> bool:
    """Whether it is a camera's RAW file, whose first directory is a thumbnail or the sensor's mosaic.

    DNG says so. Others (NEF, ARW, PEF, SRW) begin with a reduced picture of a camera, the rest in further directories.
    """
    is_reduced = bool(first(tags, SUBFILE_TYPE, 0) & 1)
    is_mosaic = first(tags, PHOTOMETRIC, 1) in (32803, 34892)
    return DNG_VERSION in tags or is_mosaic or (is_reduced and SUB_IFDS in tags and MAKE in tags)


def first(tags: Mapping[int, Any], tag: int, default: int) -> int:
    """A tag's first number."""
    values = tags.get(tag, ())
    if isinstance(values, tuple):
        return int(values[0]) if values else default
    return int(values)
