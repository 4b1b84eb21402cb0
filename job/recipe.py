"""The recipe: how a decoded image becomes a model's input, in the very steps that its weights were published with.

`job.models` reads a recipe from the weights' own configuration; the decode stage executes its uint8 half (resize,
crop) and the predict stage the float half (`scale`, `mean`, `std`) on the device, so that bytes, not floats, travel
between the two. Resizing is within 1 LSB of Pillow's, or exactly torch's where the recipe's library resizes with
that; the resized edge and the crop are that library's.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from job.errors import ImageError

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Resampler = Literal["Pillow", "torch", "torch without antialias"]
# Of images that are stored turned. `Pillow` is what its `open` gives: as stored, but that its TIFF reader turns.
Orientation = Literal["apply", "keep", "Pillow"]
Size = tuple[int, int]  # height, width
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

    def apply(self, image: Pixels) -> Pixels:
        """[H, W, 3] to [h, w, 3], contiguous; the image itself where there is nothing to do.

        Raises ImageError (too-large) for a strip whose resized form would not fit into memory.
        """
        height, width = image.shape[:2]
        size = self.resize.of((height, width)) if self.resize else (height, width)
        if min(size) < 1:
            raise ImageError(
                "too-large", f"{width}x{height} is too thin to be resized; it would be {size[1]}x{size[0]}"
            )
        if self.crop is None:
            return np.ascontiguousarray(self._resized(image, size))
        rows, columns = self._kept(size[0], self.crop[0]), self._kept(size[1], self.crop[1])
        if size[0] * size[1] > _MOST_PIXELS and size != (height, width):
            kept = _resize_part(image, size, self.interpolation, rows, columns)
        else:
            kept = self._resized(image, size)[rows, columns]
        return _centred(kept, self.crop)

    def _kept(self, length: int, crop: int) -> slice:
        if crop >= length:
            return slice(0, length)
        half = (length - crop) / 2
        start = round(half) if self.crop_rounds == "half to even" else int(half)
        return slice(start, start + crop)

    def _resized(self, image: Pixels, size: Size) -> Pixels:
        height, width = image.shape[:2]
        if (height, width) == size:
            return image
        if size[0] * size[1] > _MOST_PIXELS:
            raise ImageError("too-large", f"{width}x{height} would be resized to {size[1]}x{size[0]}")
        if self._is_for_torch((height, width), size):
            return _resize_with_torch(image, size, self.interpolation, self.resampler != "torch without antialias")
        return np.array(Image.fromarray(image).resize((size[1], size[0]), _FILTERS[self.interpolation]))

    def _is_for_torch(self, old: Size, new: Size) -> bool:
        """Whether torch is asked for, or its filter, several times as fast, is within 1 LSB of Pillow's."""
        if self.resampler != "Pillow" or self.interpolation not in _EXACT_REDUCTIONS:
            return self.resampler != "Pillow"
        # Pillow 13 reduces a tall image's height first, torch the width; bicubic overshoots differently then.
        height_first = self.interpolation == "bicubic" and old[0] - new[0] > 2 * (old[1] - new[1])
        reduction = min(old[0] / new[0], old[1] / new[1])
        return reduction >= _EXACT_REDUCTIONS[self.interpolation] and not height_first


def _resize_with_torch(image: Pixels, size: Size, interpolation: str, antialias: bool) -> Pixels:
    import torch  # takes 2 s, in which the driver would rather start Ray

    # In this order of views torch sees channels_last and keeps to it: no copy in, none out, and the vectorised kernel.
    image_1chw = torch.from_numpy(np.require(image, requirements="W"))[None].permute(0, 3, 1, 2)
    mode = "nearest-exact" if interpolation == "nearest" else interpolation
    antialias = antialias and interpolation != "nearest"
    resized_1chw = torch.nn.functional.interpolate(image_1chw, size, mode=mode, antialias=antialias)
    return resized_1chw.permute(0, 2, 3, 1)[0].numpy()


def _resize_part(image: Pixels, size: Size, interpolation: Interpolation, rows: slice, columns: slice) -> Pixels:
    """These rows and columns of the resized image; from coordinates in 32 bits, so only nearly as exact."""
    height, width = image.shape[:2]
    top, bottom = (edge * height / size[0] for edge in (rows.start, rows.stop))
    left, right = (edge * width / size[1] for edge in (columns.start, columns.stop))
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
