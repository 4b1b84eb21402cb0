"""Rows of a JPEG from any row on, of which only some columns are decoded: libjpeg-turbo's partial decoding.

The library is the very one that Pillow's wheel brings and has loaded, so that pixels are Pillow's. The entropy coder
knows no way past a block, so that all of the file is read and judged; what is spared is the arithmetic behind it.
No package with wheels offers that without a copy or a whole row of pixels: nvimgcodec does the former, simplejpeg,
PyTurboJPEG and imagecodecs none of it.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

Pixels = npt.NDArray[np.uint8]

# The colours of a column next to the edge of what is decoded are made without their neighbours.
_MARGIN = 2
_ROW_GROUP = 4  # the largest factor of a vertical subsampling: where a skip may begin


class JpegRows:
    """One JPEG that is being decoded. Used by one thread at a time, within `open_rows`."""

    def __init__(self, library: Any, handle: int, next_row: int, height: int) -> None:
        self.next_row = next_row
        self._height = height
        self._library, self._handle = library, handle

    def read(self, canvas: Pixels) -> bool:
        """The next rows into [rows, W, 3], as wide as the image; columns that are not decoded keep what they had."""
        count = min(len(canvas), self._height - self.next_row)
        address, _ = canvas.__array_interface__["data"]  # a third of the time of `ctypes.data`
        found = self._library.rows_read(self._handle, address, canvas.strides[0], count)
        self.next_row += count
        return bool(found == count)

    def finish(self) -> bool:
        """Reads the rest of the file, and says whether all of it was in order."""
        return bool(self._library.rows_finish(self._handle) == 0)


def is_available() -> bool:
    return _library() is not None


@contextmanager
def open_rows(data: bytes, size: tuple[int, int], rows: slice, columns: slice) -> Iterator[JpegRows | None]:
    """Stands before the first of those rows; None where there is anything odd. `size`: (height, width), as of the file.

    Pixels are right in `rows` and `columns`.
    """
    library, (height, width) = _library(), size
    left, right = max(0, columns.start - _MARGIN), min(width, columns.stop + _MARGIN)
    handle = library and library.rows_open(data, len(data), width, height, left, right, rows.start)
    try:
        yield JpegRows(library, handle, rows.start, height) if handle else None
    finally:
        if library and handle:
            library.rows_close(handle)


def last_row(stop: int, height: int) -> int:
    """Where to end reading rows so that what is left can be skipped. See libjpeg-turbo's issue 915."""
    return min(height, -(-stop // _ROW_GROUP) * _ROW_GROUP)


@cache
def _library() -> Any:
    built, decoders = _built(), _pillows_libjpeg()
    if not built or not decoders:
        return None
    try:
        library = ctypes.CDLL(str(built[0]))  # whose calls are made without the interpreter's lock
    except OSError:  # of another machine
        return None
    handle, number = ctypes.c_void_p, ctypes.c_uint
    library.rows_open.restype = handle
    library.rows_open.argtypes = [ctypes.c_char_p, ctypes.c_size_t, number, number, number, number, number]
    library.rows_read.argtypes = [handle, handle, ctypes.c_size_t, ctypes.c_int]
    library.rows_finish.argtypes = library.rows_close.argtypes = [handle]
    return None if library.rows_load(str(decoders[0]).encode()) else library


def _built() -> list[Path]:
    return sorted(Path(__file__).parent.glob("_jpeg_rows*.so"))


def _pillows_libjpeg() -> list[Path]:
    """In the wheels for Linux and for macOS."""
    package = Path(PIL.__file__).parent
    return sorted([*package.parent.glob("pillow.libs/libjpeg-*.so*"), *package.glob(".dylibs/libjpeg*.dylib")])
