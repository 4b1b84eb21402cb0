"""The recipe: how a decoded image becomes a model's input, in the very steps that its weights were published with.

`job.models` reads a recipe from the weights' own configuration; the decode stage executes its uint8 half (resize,
crop) and the predict stage the float half (`scale`, `mean`, `std`) on the device, so that bytes, not floats, travel
between the two. Resizing is within 1 LSB of Pillow's, or exactly torch's where the recipe's library resizes with
that; the resized edge and the crop are that library's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from job.errors import ImageError

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Resampler = Literal["Pillow", "torch", "torch without antialias"]
# Of images that are stored turned. `Pillow` is what its `open` gives: as stored, but that its TIFF reader turns.
Orientation = Literal["apply", "keep", "Pillow"]
Size = tuple[int, int]  # height, width
Extent = tuple[float, float]
Pixels = npt.NDArray[np.uint8]

_FILTERS: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# torch rounds a filter's coefficients to 16 bits, Pillow to 32. Reduced at least so much, they differ by 1 LSB at most
# (one noise image of 10^5 has a pixel 2 off). Reduced less, ties differ: bilinear by 5/4, bicubic in one image of ten.
_EXACT_REDUCTIONS = {"bilinear": 1.4, "bicubic": 2.25}
# torch's antialiasing filters, and how far each reaches, in pixels of the result.
TORCH_FILTERS: Mapping[str, str] = {"bilinear": "_upsample_bilinear2d_aa", "bicubic": "_upsample_bicubic2d_aa"}
_REACHES: Mapping[str, float] = {"bilinear": 1.0, "bicubic": 2.0}
# A strip whose short edge is resized may come to gigabytes. Past this, 100 MB, only what the crop keeps is computed.
_MOST_PIXELS = 1 << 25


@dataclass(frozen=True)
class Exactly:
    """Resized to this size, whatever that does to the aspect ratio."""

    height: int
    width: int

    def of(self, size: Size) -> Size:
        return self.height, self.width


@dataclass(frozen=True)
class ShortestEdge:
    """Resized so that the shorter edge is `pixels`, or less where the longer would pass `longest`.

    Rounds as torchvision's `resize` and, with `longest`, as `get_size_with_aspect_ratio` of
    transformers/image_transforms.py; last both edges are cut down to a multiple. Or rounds as PP-LCNet's processor.
    """

    pixels: int
    longest: int | None = None
    multiple: int = 1
    rounds: Literal["down", "half to even"] = "down"

    def of(self, size: Size) -> Size:
        height, width = size
        short, long = min(size), max(size)
        if self.rounds == "half to even":
            return round(height * (self.pixels / short)), round(width * (self.pixels / short))
        edge: float = self.pixels
        if self.longest is not None and long / short * self.pixels > self.longest:
            edge = self.longest * short / long
        new_short = round(edge)
        if new_short == short:
            new = size
        elif width < height:
            new = int(edge * height / width), new_short
        else:
            new = new_short, int(edge * width / height)
        return new[0] - new[0] % self.multiple, new[1] - new[1] % self.multiple


@dataclass(frozen=True)
class Within:
    """Resized to the largest size of the same aspect ratio that fits, as `get_image_size_for_max_height_width`."""

    height: int
    width: int

    def of(self, size: Size) -> Size:
        scale = min(self.height / size[0], self.width / size[1])
        return int(size[0] * scale), int(size[1] * scale)


@dataclass(frozen=True)
class Kept:
    """What is made of an image of one size: the size it is resized to, and the rows and columns that the crop keeps."""

    size: Size
    rows: slice
    columns: slice

    def source(self, size: Size, interpolation: Interpolation) -> tuple[slice, slice]:
        """The rows and columns of the image, of that size, that an antialiasing filter reads for it."""
        rows = source_of(self.rows, size[0], self.size[0], interpolation)
        return rows, source_of(self.columns, size[1], self.size[1], interpolation)


@dataclass(frozen=True)
class Recipe:
    """Steps in order: resize, crop at the centre (zeros where the image is smaller), `(pixel * scale - mean) / std`.

    Before them the decoder turns the image as `orientation` says, or as the spec's `source.orientation` does.
    """

    resize: Exactly | ShortestEdge | Within | None = None
    interpolation: Interpolation = "bilinear"
    resampler: Resampler = "Pillow"
    crop: Size | None = None
    crop_rounds: Literal["half to even", "down"] = "half to even"  # the crop's corner: torchvision's way, transformers'
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: Literal["RGB", "BGR"] = "RGB"  # the model's order; flipped on the device
    orientation: Orientation = "Pillow"

    @property
    def size(self) -> Size | None:
        """Of every output, (height, width); None where images keep different ones."""
        if self.crop or not isinstance(self.resize, Exactly):
            return self.crop
        return self.resize.height, self.resize.width

    def apply(self, image: Pixels, original: Size | None = None, divisor: int = 1) -> Pixels:
        """[H, W, 3] to [h, w, 3], contiguous; the image itself where there is nothing to do.

        `original`: (height, width) of the picture that this is a `divisor`th of, rounded up; it decides the size.
        Raises ImageError (too-large) for a strip whose resized form would not fit into memory.
        """
        original = original or (image.shape[0], image.shape[1])
        extent = original[0] / divisor, original[1] / divisor
        return self.centred(self._resized(image, self.kept(original), extent))

    def centred(self, part: Pixels) -> Pixels:
        """What is kept, contiguous, with zeros round it where the crop is larger."""
        return np.ascontiguousarray(part) if self.crop is None else _centred(part, self.crop)

    def kept(self, size: Size) -> Kept:
        """Of an image of this size. Raises ImageError (too-large) where that is nothing, or more than fits."""
        height, width = size
        new = self.resize.of(size) if self.resize else size
        if min(new) < 1:
            raise ImageError("too-large", f"{width}x{height} is too thin to be resized; it would be {new[1]}x{new[0]}")
        if self.crop:
            return Kept(new, self._centre(new[0], self.crop[0]), self._centre(new[1], self.crop[1]))
        if new != size and new[0] * new[1] > _MOST_PIXELS:
            raise ImageError("too-large", f"{width}x{height} would be resized to {new[1]}x{new[0]}")
        return Kept(new, slice(0, new[0]), slice(0, new[1]))

    def _centre(self, length: int, crop: int) -> slice:
        if crop >= length:
            return slice(0, length)
        half = (length - crop) / 2
        start = round(half) if self.crop_rounds == "half to even" else int(half)
        return slice(start, start + crop)

    def _resized(self, image: Pixels, kept: Kept, extent: Extent) -> Pixels:
        """`extent`: the height and width of what the picture shows, which may end within its last pixels."""
        old = image.shape[0], image.shape[1]
        if old == kept.size:
            return image[kept.rows, kept.columns]
        if kept.size[0] * kept.size[1] > _MOST_PIXELS:
            return _resize_part(image, kept, self.interpolation, extent)
        if self.is_for_torch(old, kept.size):
            antialias = self.resampler != "torch without antialias"
            return _resize_with_torch(image, kept, self.interpolation, antialias, extent)
        height, width = kept.size
        box = (0, 0, extent[1], extent[0])
        resized = np.array(Image.fromarray(image).resize((width, height), _FILTERS[self.interpolation], box))
        return resized[kept.rows, kept.columns]

    def is_for_torch(self, old: Size, new: Size) -> bool:
        """Whether torch is asked for, or its filter, several times as fast, is within 1 LSB of Pillow's.

        Not of what would take gigabytes.
        """
        if new[0] * new[1] > _MOST_PIXELS:
            return False
        if self.resampler != "Pillow" or self.interpolation not in _EXACT_REDUCTIONS:
            return self.resampler != "Pillow"
        # Pillow 13 reduces a tall image's height first, torch the width; bicubic overshoots differently then.
        height_first = self.interpolation == "bicubic" and old[0] - new[0] > 2 * (old[1] - new[1])
        reduction = min(old[0] / new[0], old[1] / new[1])
        return reduction >= _EXACT_REDUCTIONS[self.interpolation] and not height_first


def reduces(old: Size, new: Size) -> bool:
    """Where neither side grows. torch takes an axis of as many pixels before and after for one to leave alone, which a
    part of an enlarged image may have.
    """
    return old[0] >= new[0] and old[1] >= new[1]


def source_of(part: slice, old: int, new: int, interpolation: Interpolation) -> slice:
    """What an antialiasing filter reads, of `old` rows (or columns) made into `new`, for this part of the new ones."""
    scale = old / new
    reach = _REACHES.get(interpolation, 3.0) * max(scale, 1.0) + 1
    return slice(max(0, int(scale * part.start - reach)), min(old, math.ceil(scale * part.stop + reach)))


def _resize_with_torch(
    image: Pixels, kept: Kept, interpolation: Interpolation, antialias: bool, extent: Extent
) -> Pixels:
    import torch  # takes 2 s, in which the driver would rather start Ray

    old, new = (image.shape[0], image.shape[1]), kept.size
    if antialias and interpolation in TORCH_FILTERS and reduces(old, new):
        resize = getattr(torch.ops.aten, TORCH_FILTERS[interpolation]).default
        # Told the scale beside the size, it makes the first rows and columns of a larger result and reads no others.
        image_1chw = _channels_last(image[: source_of(kept.rows, old[0], new[0], interpolation).stop])
        scales = new[0] / extent[0], new[1] / extent[1]
        resized_1chw = resize(image_1chw, (kept.rows.stop, kept.columns.stop), False, *scales)
    else:
        mode = "nearest-exact" if interpolation == "nearest" else interpolation
        antialias = antialias and interpolation != "nearest"
        resized_1chw = torch.nn.functional.interpolate(_channels_last(image), kept.size, mode=mode, antialias=antialias)
    resized: Pixels = resized_1chw.permute(0, 2, 3, 1)[0].numpy()
    return resized[kept.rows, kept.columns]


def _channels_last(image: Pixels) -> Any:
    """[1, 3, H, W]. In this order of views torch sees channels_last and keeps to it: no copy in, none out, and the
    vectorised kernel.
    """
    import torch

    return torch.from_numpy(np.require(image, requirements="W"))[None].permute(0, 3, 1, 2)


def _resize_part(image: Pixels, kept: Kept, interpolation: Interpolation, extent: Extent) -> Pixels:
    """Only what is kept of the resized image; from coordinates in 32 bits, so only nearly as exact."""
    (height, width), (rows, columns) = extent, (kept.rows, kept.columns)
    top, bottom = (edge * height / kept.size[0] for edge in (rows.start, rows.stop))
    left, right = (edge * width / kept.size[1] for edge in (columns.start, columns.stop))
    shape = (columns.stop - columns.start, rows.stop - rows.start)
    return np.array(Image.fromarray(image).resize(shape, _FILTERS[interpolation], box=(left, top, right, bottom)))


def _centred(image: Pixels, size: Size) -> Pixels:
    height, width = image.shape[:2]
    if (height, width) == size:
        return np.ascontiguousarray(image)
    canvas = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    canvas[top : top + height, left : left + width] = image
    return canvas
