"""Blocks: decoded images on their way into one Arrow table, filled by several threads at once, and out of it again.

The decoded table's layout is `decode`'s. A `FixedBlock` is one [N, h, w, 3] array that threads write into and Arrow
takes over without a copy; a `VariableBlock` keeps images of their own sizes and is full when it is heavy enough.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from job.errors import ImageError, RunFailed
from job.spec.columns import PLACE
from job.stages.timing import Figures, attach

Pixels = npt.NDArray[np.uint8]

VARIABLE_BYTES = 64 << 20


@dataclass
class Block(ABC):
    """The columns that both kinds share. `take` is called under a lock, the rest from any thread, once a row."""

    capacity: int
    taken: int = 0
    read_s: float = 0.0
    decode_s: float = 0.0

    def __post_init__(self) -> None:
        self.errors: list[str | None] = [None] * self.capacity
        self.sizes = np.zeros((self.capacity, 2), np.int32)
        self.notes: list[Sequence[str] | None] = [None] * self.capacity

    @property
    def is_full(self) -> bool:
        return self.taken == self.capacity

    def take(self) -> int:
        self.taken += 1
        return self.taken - 1

    def put(self, index: int, size: tuple[int, int], image: Pixels, notes: Sequence[str] = ()) -> None:
        """`size` (height, width) is the original's; `image` is what the recipe made of it; `notes`: `image_notes`."""
        self.sizes[index] = size
        self.notes[index] = notes or None

    def fail(self, index: int, error: ImageError) -> None:
        self.errors[index] = str(error)

    def table(self, rows: pa.Table) -> pa.Table:
        """The decoded table. `rows` are the manifest's, as many as were taken."""
        failed = np.array([error is not None for error in self.errors[: self.taken]], np.bool_)
        columns = {
            **{name: rows[name].combine_chunks() for name in PLACE},
            "error": pa.array(self.errors[: self.taken], pa.string()),
            "width": pa.array(self.sizes[: self.taken, 1], pa.int32(), mask=failed),
            "height": pa.array(self.sizes[: self.taken, 0], pa.int32(), mask=failed),
            "image_notes": pa.array(self.notes[: self.taken], pa.list_(pa.string())),
        }
        figures: Figures = {"read_s": round(self.read_s, 4), "decode_s": round(self.decode_s, 4)}
        return attach(pa.table({**columns, **self.image_columns()}), figures)

    @abstractmethod
    def image_columns(self) -> dict[str, pa.Array]:
        """`image`, and what else tells its shape."""


class FixedBlock(Block):
    """Every image is of the recipe's size (height, width)."""

    def __init__(self, capacity: int, size: tuple[int, int]) -> None:
        super().__init__(capacity)
        self.pixels = np.empty((capacity, *size, 3), np.uint8)

    def put(self, index: int, size: tuple[int, int], image: Pixels, notes: Sequence[str] = ()) -> None:
        super().put(index, size, image, notes)
        self.pixels[index] = image

    def fail(self, index: int, error: ImageError) -> None:
        super().fail(index, error)
        self.pixels[index] = 0

    def image_columns(self) -> dict[str, pa.Array]:
        bytes_each = int(self.pixels[0].nbytes)
        offsets = np.arange(self.taken + 1, dtype=np.int64) * bytes_each
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.pixels)]
        return {"image": pa.Array.from_buffers(pa.large_binary(), self.taken, buffers)}


class VariableBlock(Block):
    """Images keep sizes of their own; full at `VARIABLE_BYTES`, so that large ones do not pile up."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.images: list[Pixels | None] = [None] * capacity
        self.held_bytes = 0

    @property
    def is_full(self) -> bool:
        return super().is_full or self.held_bytes >= VARIABLE_BYTES

    def put(self, index: int, size: tuple[int, int], image: Pixels, notes: Sequence[str] = ()) -> None:
        super().put(index, size, image, notes)
        self.images[index] = image
        self.held_bytes += image.nbytes

    def image_columns(self) -> dict[str, pa.Array]:
        images = self.images[: self.taken]
        shapes = [(0, 0) if image is None else image.shape[:2] for image in images]
        return {
            "image": pa.array(
                [b"" if image is None else image.reshape(-1).data for image in images], pa.large_binary()
            ),
            "image_height": pa.array([height for height, _ in shapes], pa.int32()),
            "image_width": pa.array([width for _, width in shapes], pa.int32()),
        }


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
