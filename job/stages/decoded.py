"""Blocks: decoded images on their way into one Arrow table, filled by several threads at once, and out of it again.

The decoded table's layout is `decode`'s. A `FixedBlock` is one [N, h, w, 3] array that threads write into and Arrow
takes over without a copy; a `VariableBlock` keeps images of their own sizes and is full when it is heavy enough.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from job.errors import ImageError, RunFailed
from job.spec.columns import EXACT_IMAGE, PLACE
from job.stages.pixel_budget import Hold
from job.stages.timing import Figures, attach

Pixels = npt.NDArray[np.uint8]

VARIABLE_BYTES = 64 << 20


@dataclass
class Block(ABC):
    """The columns that both kinds share. `take`, `skip` and `admit` are called under a lock, the rest from any thread,
    once a row.
    """

    capacity: int
    read_s: float = 0.0
    decode_s: float = 0.0

    def __post_init__(self) -> None:
        self.rows: list[int] = []  # the number in the chunk of each row that was taken
        self.errors: list[str | None] = [None] * self.capacity
        self.sizes = np.zeros((self.capacity, 2), np.int32)
        self.notes: list[Sequence[str] | None] = [None] * self.capacity
        # Of scaled images a sample's pixels of an exact decode, by place; None where none is scaled.
        self.exact: dict[int, Pixels] | None = None

    @property
    def is_full(self) -> bool:
        return len(self.rows) == self.capacity

    def take(self, row: int) -> int:
        """The place of that row in the block."""
        self.rows.append(row)
        return len(self.rows) - 1

    @abstractmethod
    def admit(self) -> bool:
        """Whether an image may wait until there is memory for it: whether no row of the block has to end before."""

    @abstractmethod
    def skip(self, index: int) -> int:
        """Takes out a row that found no memory, and the block takes no more; gives the row's number."""

    def put(self, index: int, size: tuple[int, int], image: Pixels, notes: Sequence[str], hold: Hold) -> None:
        """`size` (height, width) is the original's; `image` is what the recipe made of it; `notes`: `image_notes`.

        What is held of the budget is given back as soon as it can be.
        """
        self.sizes[index] = size
        self.notes[index] = notes or None

    def fail(self, index: int, error: ImageError) -> None:
        self.errors[index] = str(error)

    @abstractmethod
    def release(self) -> None:
        """Gives back what rows still hold."""

    @abstractmethod
    def tables(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Decoded tables; each row once. `rows` are the chunk's of the manifest."""

    def _table(self, rows: pa.Table, places: Sequence[int], images: dict[str, pa.Array], is_first: bool) -> pa.Table:
        errors = [self.errors[place] for place in places]
        failed = np.array([error is not None for error in errors], np.bool_)
        taken = rows.select(PLACE).take(pa.array([self.rows[place] for place in places], pa.int64()))
        columns = {
            **{name: taken[name].combine_chunks() for name in PLACE},
            "error": pa.array(errors, pa.string()),
            "width": pa.array(self.sizes[places, 1], pa.int32(), mask=failed),
            "height": pa.array(self.sizes[places, 0], pa.int32(), mask=failed),
            "image_notes": pa.array([self.notes[place] for place in places], pa.list_(pa.string())),
        }
        if self.exact is not None:
            exact = [self.exact[place].reshape(-1).data if place in self.exact else None for place in places]
            images = {**images, EXACT_IMAGE: pa.array(exact, pa.large_binary())}
        seconds = (self.read_s, self.decode_s) if is_first else (0.0, 0.0)
        figures: Figures = {"read_s": round(seconds[0], 4), "decode_s": round(seconds[1], 4)}
        return attach(pa.table({**columns, **images}), figures)


class FixedBlock(Block):
    """Every image is of the recipe's size (height, width), and holds no memory but the block's own."""

    def __init__(self, capacity: int, size: tuple[int, int]) -> None:
        super().__init__(capacity)
        self.pixels = np.empty((capacity, *size, 3), np.uint8)

    def admit(self) -> bool:
        return True

    def skip(self, index: int) -> int:
        raise AssertionError("every image of a fixed size may wait")

    def put(self, index: int, size: tuple[int, int], image: Pixels, notes: Sequence[str], hold: Hold) -> None:
        super().put(index, size, image, notes, hold)
        self.pixels[index] = image
        hold.release()

    def fail(self, index: int, error: ImageError) -> None:
        super().fail(index, error)
        self.pixels[index] = 0

    def release(self) -> None:
        """They hold nothing."""

    def tables(self, rows: pa.Table) -> Iterator[pa.Table]:
        """One, in which the pixels are the block's own."""
        count, bytes_each = len(self.rows), int(self.pixels[0].nbytes)
        offsets = np.arange(count + 1, dtype=np.int64) * bytes_each
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.pixels)]
        images = {"image": pa.Array.from_buffers(pa.large_binary(), count, buffers)}
        yield self._table(rows, list(range(count)), images, is_first=True)


class VariableBlock(Block):
    """Images keep sizes of their own; full at `VARIABLE_BYTES`, so that large ones do not pile up.

    Every thread may have been at one more by then, each of which holds its part of the budget until its table is made.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.images: list[Pixels | None] = [None] * capacity
        self.held_bytes = 0
        self._holds: dict[int, Hold] = {}
        self._skipped: set[int] = set()
        self._is_empty = True

    @property
    def is_full(self) -> bool:
        return super().is_full or self.held_bytes >= VARIABLE_BYTES or bool(self._skipped)

    def admit(self) -> bool:
        was_empty, self._is_empty = self._is_empty, False
        return was_empty

    def skip(self, index: int) -> int:
        self._skipped.add(index)
        return self.rows[index]

    def put(self, index: int, size: tuple[int, int], image: Pixels, notes: Sequence[str], hold: Hold) -> None:
        super().put(index, size, image, notes, hold)
        hold.shrink(image.nbytes)
        self.images[index], self._holds[index] = image, hold
        self.held_bytes += image.nbytes

    def release(self) -> None:
        for hold in self._holds.values():
            hold.release()

    def tables(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Of at most twice `VARIABLE_BYTES`, or of one image; each gives back what its images hold."""
        taken = [place for place in range(len(self.rows)) if place not in self._skipped]
        taken.sort(key=lambda place: self.rows[place])
        sizes = [0 if image is None else image.nbytes for image in self.images]
        for number, places in enumerate(runs_within(2 * VARIABLE_BYTES, [sizes[place] for place in taken])):
            yield self._cut(rows, taken[places], is_first=not number)

    def _cut(self, rows: pa.Table, places: Sequence[int], is_first: bool) -> pa.Table:
        images = [self.images[place] for place in places]
        shapes = [(0, 0) if image is None else image.shape[:2] for image in images]
        columns = {
            "image": _binaries(images),
            "image_height": pa.array([height for height, _ in shapes], pa.int32()),
            "image_width": pa.array([width for _, width in shapes], pa.int32()),
        }
        for place in places:
            self.images[place] = None
            if place in self._holds:
                self._holds.pop(place).release()
        return self._table(rows, places, columns, is_first)


def _binaries(images: Sequence[Pixels | None]) -> pa.Array:
    """The bytes of each; none of a failed row. One image alone is not copied: it may be a large one."""
    if len(images) == 1 and images[0] is not None:
        offsets = np.array([0, images[0].nbytes], np.int64)
        return pa.Array.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(images[0])])
    return pa.array([b"" if image is None else image.reshape(-1).data for image in images], pa.large_binary())


def runs_within(limit: int, sizes: Sequence[int], most: int | None = None) -> Iterator[slice]:
    """Cuts a sequence into runs, each of at most `limit` in all (or one alone that is larger) and `most` in number."""
    start = held = 0
    for index, size in enumerate(sizes):
        if index > start and (held + size > limit or index - start == most):
            yield slice(start, index)
            start, held = index, 0
        held += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def failed_rows(decoded: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    return cast(npt.NDArray[np.bool_], decoded["error"].is_valid().to_numpy(zero_copy_only=False))


def fixed_pixels(decoded: pa.RecordBatch, size: tuple[int, int]) -> Pixels:
    """All images of a fixed size as one [N, h, w, 3] array, without a copy. Raises RunFailed for other sizes."""
    image = decoded["image"]
    _, offsets, data = image.buffers()
    shape = (len(image), *size, 3)
    first, end = (int(at) for at in np.frombuffer(offsets, np.int64)[[image.offset, image.offset + len(image)]])
    if end - first != math.prod(shape):
        raise RunFailed(
            f"{len(image)} images came in {end - first:,} bytes where the recipe gives {shape}; report this"
        )
    return as_pixels(data.slice(first, end - first), shape)


def all_pixels(decoded: pa.RecordBatch, size: tuple[int, int] | None) -> list[Pixels]:
    """Each row's image [h, w, 3], without a copy; of a failed row nothing that means anything."""
    if size:
        return list(fixed_pixels(decoded, size))
    shapes = zip(decoded["image_height"].to_pylist(), decoded["image_width"].to_pylist(), strict=True)
    return [
        as_pixels(image.as_buffer(), (height, width, 3))
        for image, (height, width) in zip(decoded["image"], shapes, strict=True)
    ]


def as_pixels(data: pa.Buffer, shape: tuple[int, ...]) -> Pixels:
    """A buffer as an array of uint8, without a copy.

    NumPy would call it read-only, as Arrow does, and torch warn of that at every process's first batch. Predictors are
    given it to read.
    """
    return np.asarray(_Writable(data, shape))


class _Writable:
    """The buffer by NumPy's array interface, which it lives as long as:
    https://numpy.org/doc/stable/reference/arrays.interface.html
    """

    def __init__(self, data: pa.Buffer, shape: tuple[int, ...]) -> None:
        self._data = data
        self.__array_interface__: dict[str, Any] = {
            "shape": shape, "typestr": "|u1", "data": (data.address, False), "version": 3,
        }  # fmt: skip
