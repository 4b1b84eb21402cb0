"""Blocks: decoded images on their way into one Arrow table, filled by several threads at once, and out of it again.

The decoded table's layout is `decode`'s. A `FixedBlock` is one [N, h, w, 3] array that threads write into and Arrow
takes over without a copy; a `VariableBlock` keeps images of their own sizes and is full when it is heavy enough.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from job.errors import ImageError
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

    @property
    def is_full(self) -> bool:
        return self.taken == self.capacity

    def take(self) -> int:
        self.taken += 1
        return self.taken - 1

    def put(self, index: int, size: tuple[int, int], image: Pixels) -> None:
        """`size` (height, width) is the original's; `image` is what the recipe made of it."""
        self.sizes[index] = size

    def fail(self, index: int, error: ImageError) -> None:
        self.errors[index] = str(error)

    def table(self, rows: pa.Table) -> pa.Table:
        """The decoded table. `rows` are the manifest's, as many as were taken."""
        failed = np.array([error is not None for error in self.errors[: self.taken]], np.bool_)
        columns = {
            "shard": rows["shard"].combine_chunks(),
            "row": rows["row"].combine_chunks(),
            "error": pa.array(self.errors[: self.taken], pa.string()),
            "width": pa.array(self.sizes[: self.taken, 1], pa.int32(), mask=failed),
            "height": pa.array(self.sizes[: self.taken, 0], pa.int32(), mask=failed),
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

    def put(self, index: int, size: tuple[int, int], image: Pixels) -> None:
        super().put(index, size, image)
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

    def put(self, index: int, size: tuple[int, int], image: Pixels) -> None:
        super().put(index, size, image)
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
    """All images of a fixed size as one [N, h, w, 3] array, without a copy."""
    image = decoded["image"]
    _, offsets, data = image.buffers()
    shape = (len(image), *size, 3)
    first = int(np.frombuffer(offsets, np.int64)[image.offset])
    return np.frombuffer(data, np.uint8, int(np.prod(shape)), first).reshape(shape)


def all_pixels(decoded: pa.RecordBatch, size: tuple[int, int] | None) -> list[Pixels]:
    """Each row's image [h, w, 3], without a copy; of a failed row nothing that means anything."""
    if size:
        return list(fixed_pixels(decoded, size))
    shapes = zip(decoded["image_height"].to_pylist(), decoded["image_width"].to_pylist(), strict=True)
    return [
        np.frombuffer(image.as_buffer(), np.uint8).reshape(height, width, 3)
        for image, (height, width) in zip(decoded["image"], shapes, strict=True)
    ]
