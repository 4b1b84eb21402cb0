"""Which way up an image is stored, as EXIF and XMP say it and Pillow reads them, and turning it.

The eight values of EXIF's tag Orientation: 1 is upright, 2 to 8 say how to turn or mirror the stored picture so that it
is. https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.6.4 A
"""

import re
import struct
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from job.stages.formats.whole_image import to_rgb

Pixels = npt.NDArray[np.uint8]

UPRIGHT = 1
SIDEWAYS = range(5, 9)  # whose height is the width of the picture
_TAG = int(ExifTags.Base.Orientation)
_SHORT = 3
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')  # as in Pillow's Image.getexif
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_UNDONE_BY = {6: 8, 8: 6}  # the others by themselves

# Which rows or columns come in the other order, after rows and columns of `SIDEWAYS` were exchanged.
_ROWS_MIRRORED, _COLUMNS_MIRRORED = (3, 4, 6, 7), (2, 3, 7, 8)


def stored_part(rows: slice, columns: slice, size: tuple[int, int], orientation: int) -> tuple[slice, slice]:
    """Where these rows and columns of the upright picture are in the stored one of `size` (height, width)."""
    if orientation in SIDEWAYS:
        rows, columns = columns, rows
    return _mirrored(rows, columns, size, orientation)


def upright_part(rows: slice, columns: slice, size: tuple[int, int], orientation: int) -> tuple[slice, slice]:
    """The same the other way: where a part of the stored picture is in the upright one. `size` is the stored one's."""
    rows, columns = _mirrored(rows, columns, size, orientation)
    return (columns, rows) if orientation in SIDEWAYS else (rows, columns)


def _mirrored(rows: slice, columns: slice, size: tuple[int, int], orientation: int) -> tuple[slice, slice]:
    if orientation in _ROWS_MIRRORED:
        rows = slice(size[0] - rows.stop, size[0] - rows.start)
    if orientation in _COLUMNS_MIRRORED:
        columns = slice(size[1] - columns.stop, size[1] - columns.start)
    return rows, columns


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """[H, W, 3] as it is to be seen: the pixels of Pillow's `exif_transpose`, the same array where it is upright."""
    turn = _TURNS.get(orientation)
    # NumPy's and torch's copies of a transposed view take twice as long as Pillow's for a photograph of 12 megapixels.
    return pixels if turn is None else to_rgb(Image.fromarray(pixels).transpose(turn))


def turn_back(pixels: Pixels, orientation: int) -> Pixels:
    """[H, W, 3] as it was stored, of one that is upright."""
    return turn_upright(pixels, _UNDONE_BY.get(orientation, orientation))


def stored_orientation(image: Image.Image) -> int:
    """1 to 8, by Pillow's own reading of EXIF and XMP. What cannot be read says nothing, so that it is 1."""
    try:
        return _known(image.getexif().get(_TAG, UPRIGHT))
    except Exception:  # whatever Pillow meets in damaged EXIF; the picture is whole
        return UPRIGHT


def jpeg_orientation(data: bytes) -> int:
    """`stored_orientation` of a JPEG from its markers: 5 to 12 µs, where Pillow takes 150 to open the file."""
    found = _jpeg_metadata(data)
    if found is None:
        return _ask_pillow(data)
    exif, xmp = found
    if exif:
        value = _exif_orientation(exif[6:])
        if value is None:
            return _ask_pillow(data)
        if value:
            return _known(value)
    match = _XMP.search(xmp) if xmp else None
    return _known(int(match[1])) if match else UPRIGHT


def _ask_pillow(data: bytes) -> int:
    try:
        with JpegImageFile(BytesIO(data)) as image:
            return stored_orientation(image)
    except Exception:
        return UPRIGHT


def _known(value: Any) -> int:
    return int(value) if value in range(1, 9) else UPRIGHT


def _jpeg_metadata(data: bytes) -> tuple[bytes, bytes] | None:
    """The EXIF and the XMP segment, both mostly empty; None where the markers are odd in any way."""
    exif = xmp = b""
    at = 2
    while True:
        segment = data[at : at + 4]
        if len(segment) < 4 or segment[0] != 0xFF:
            return None
        marker = segment[1]
        if marker == 0xDA:
            return exif, xmp
        if marker < 0xC0 or 0xD0 <= marker <= 0xD9 or marker == 0xFF:
            return None
        length = segment[2] << 8 | segment[3]
        if marker == 0xE1:
            body = data[at + 4 : at + 2 + length]
            if body.startswith(b"Exif\0\0"):
                if exif:  # Pillow joins what is split
                    return None
                exif = body
            elif body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
                xmp = body.split(b"\0", 1)[1]
        at += 2 + length


def _exif_orientation(tiff: bytes) -> int | None:
    """The tag's value, 0 where there is none; None where it is not written as it should be."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
    except struct.error:
        return None
    entries = tiff[at + 2 : at + 2 + 12 * count]
    if len(entries) < 12 * count:
        return None
    for tag, kind, values, value in struct.iter_unpack(f"{order}HHII", entries):
        if tag == _TAG:
            number = value & 0xFFFF if order == "<" else value >> 16
            return int(number) if (kind, values) == (_SHORT, 1) and number else None
        size = values * _TYPE_BYTES.get(kind, 0)
        if size > 4 and value + size > len(tiff):  # there Pillow stops reading
            return None
    return 0
