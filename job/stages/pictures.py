"""Pictures: the encoded images of a chunk, each with the rows that are made of it; those of crops share one.

Pixels and the budget are the decode stage's.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from job.errors import ImageError
from job.recipe import Orientation
from job.sources.runs.box_rows import without_fragments
from job.sources.source import Handle
from job.spec.columns import CROP, OFFSET

Pixels = npt.NDArray[np.uint8]
Xywh = Sequence[int]  # left, top, width, height


@dataclass
class Picture:
    """An encoded image, and the rows of the chunk that are still to be made of it, by number."""

    read: Handle
    rows: deque[int]
    crops: Sequence[Xywh] | None = None  # of all rows of the chunk; None where a row is all of its picture
    orientation: Orientation | None = None  # which way up the crops are of; None where that is the stage's to say

    def cut(self, row: int, pixels: Pixels) -> Pixels:
        """What a row shows of the decoded picture. Raises ImageError as `cut` does."""
        return pixels if self.crops is None else cut(pixels, self.crops[row])

    def copied_bytes(self, rows: Sequence[int]) -> int:
        """What the largest crop of these takes beside the picture that it is cut from."""
        return 0 if self.crops is None else max(3 * self.crops[row][2] * self.crops[row][3] for row in rows)

    def keep(self, data: bytes) -> None:
        """For who takes it next: a handle gives its bytes once."""
        self.read = lambda: data

    def keep_error(self, error: ImageError) -> None:
        """As `keep`, of what cannot be read or decoded."""

        def fail() -> bytes:
            raise error

        self.read = fail


def cut(pixels: Pixels, xywh: Xywh) -> Pixels:
    """A part of a picture [H, W, 3], copied. Raises ImageError, `changed`, where it is not inside."""
    left, top, width, height = xywh
    part = pixels[top : top + height, left : left + width]
    if part.shape[:2] != (height, width):
        found = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ImageError(
            "changed", f"the image is {found}, and a box of {width}x{height} at {left},{top} was found in it"
        )
    return part.copy()


def pictures_of(rows: pa.Table, read: Callable[[pa.Table], Iterator[Handle]], share: bool) -> Iterator[Picture]:
    """The pictures of the manifest's rows, in order. `share`: neighbouring crops of one image are of one picture."""
    count = rows.num_rows
    if CROP[0] not in rows.column_names:
        yield from (Picture(handle, deque((row,))) for row, handle in zip(range(count), read(rows), strict=False))
        return
    crops, orientations = rows[CROP[0]].to_pylist(), rows[CROP[1]].to_pylist()
    firsts = _first_of_each(rows) if share else list(range(count))
    handles = read(rows.take(pa.array(firsts, pa.int64())))
    for first, end, handle in zip(firsts, [*firsts[1:], count], handles, strict=False):
        yield Picture(handle, deque(range(first, end)), crops, orientations[first])


def _first_of_each(rows: pa.Table) -> list[int]:
    """The rows that are not of the same image as the row before."""
    names = [name for name in ("uri", "etag", OFFSET, CROP[1]) if name in rows.column_names]
    images = list(zip(*(without_fragments(rows)[name].to_pylist() for name in names), strict=True))
    return [row for row, image in enumerate(images) if row == 0 or image != images[row - 1]]


class PicturesLeft:
    """The pictures of a chunk that no block has: those that were put back, and then the next. Used under a lock.

    Its length is that of the rows.
    """

    def __init__(self, rows: int, pictures: Iterator[Picture]) -> None:
        self._next = pictures
        self._put_back: dict[int, Picture] = {}
        self._left = rows

    def __len__(self) -> int:
        return self._left

    def take(self) -> Picture | None:
        picture = self._put_back.pop(min(self._put_back)) if self._put_back else next(self._next, None)
        self._left -= len(picture.rows) if picture else 0
        return picture

    def put_back(self, picture: Picture) -> None:
        self._put_back[picture.rows[0]] = picture
        self._left += len(picture.rows)
