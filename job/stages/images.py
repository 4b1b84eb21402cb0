"""Encoded bytes to pixels: exactly those of Pillow's `convert("RGB")`, faster where that is possible.

Called by the decode stage in many threads at once; the decoders run without the interpreter's lock. Knows nothing of
where the bytes came from or of what a model wants. The format is read from the first bytes, never from a name, and
Pillow's plugins are called directly, so no other of its readers ever sees untrusted bytes.

Pillow leaves images as they are stored, but for TIFF, HEIC and JPEG XL, whose readers turn them; `Reading` says what is
wanted instead.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import AvifImagePlugin, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from job.errors import ImageError
from job.recipe import Orientation, Recipe, Size
from job.sources.magic import ImageFormat
from job.spec.columns import DEPTH_CLIPPED, ORIENTATION_APPLIED, ORIENTATION_KEPT
from job.spec.limits import Limits
from job.spec.spec import SourceSpec
from job.stages.formats import depth
from job.stages.formats.extra_formats import extra_plugin, heic_orientation, jxl_header
from job.stages.formats.orientation import UPRIGHT, jpeg_orientation, stored_orientation, turn_back, turn_upright
from job.stages.formats.sniff import format_of
from job.stages.formats.tiff_planes import PlanarTiffFile
from job.stages.formats.unsupported import why_unsupported
from job.stages.formats.whole_image import to_rgb
from job.stages.needed_bytes import jpeg_bytes, plugin_bytes
from job.stages.pixel_budget import NoRoomError, Reserve, reserve_nothing

Pixels = npt.NDArray[np.uint8]

_PLUGINS: dict[ImageFormat, type[ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "TIFF": PlanarTiffFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "JPEG 2000": Jpeg2KImageFile,
}
# The stage's own threads are the parallelism; a decoder that starts one a core for each image would fight them.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


@dataclass(frozen=True)
class Reading:
    """How images are read. Travels to every worker."""

    limits: Limits
    orientation: Orientation = "Pillow"
    scales_depth: bool = False
    enough: int | None = None  # pixels of the longer side that suffice, so that a decoder that can may give fewer
    scales: bool = False  # JPEGs decoded at the half, quarter or eighth that the recipe's resize leaves no less of

    @classmethod
    def of(cls, source: SourceSpec, recipe: Recipe, limits: Limits) -> "Reading":
        """What the spec says, and where that is `auto`, the model's recipe."""
        orientation = recipe.orientation if source.orientation == "auto" else source.orientation
        return cls(limits, orientation, source.depth == "scale", scales=source.decode == "scaled")

    def turned(self, orientation: Orientation | None) -> "Reading":
        """With another orientation, where there is one."""
        return self if orientation in (None, self.orientation) else replace(self, orientation=orientation)


class DecodedImage(NamedTuple):
    """RGB pixels, `[H, W, 3]`, contiguous, and what is to be known of them: words of `job.spec.columns`.

    Where `original` is set, (height, width), they are what the recipe makes of an image of that size.
    """

    pixels: Pixels
    notes: Sequence[str] = ()
    original: Size | None = None


def decode(data: bytes, limits: Limits) -> Pixels:
    """As Pillow reads it: `read_image` without a wish. `[H, W, 3]`, writable and contiguous."""
    return read_image(data, Reading(limits)).pixels


def read_image(data: bytes, reading: Reading, reserve: Reserve = reserve_nothing) -> DecodedImage:
    """Raises ImageError, and nothing else, for bytes that are no such image.

    `reserve` is told how many bytes it takes to decode them, before that; what it raises is raised.
    """
    reading.limits.check_size(len(data))
    kind = format_of(data)
    if kind == "JPEG":
        orientation = jpeg_orientation(data)
        turns = needs_turn(reading.orientation, orientation, is_turned=False)
        pixels = _decode_plain_jpeg(data, reading, reserve, turns)
        if pixels is not None:
            return turn(DecodedImage(pixels), reading.orientation, orientation, is_turned=False)
    return _PillowFile(kind, data, reading, reserve).read()


def needs_turn(wanted: Orientation, orientation: int, is_turned: bool) -> bool:
    """Whether `turn` has something to turn."""
    return orientation != UPRIGHT and is_turned != (is_turned if wanted == "Pillow" else wanted == "apply")


def turn(image: DecodedImage, wanted: Orientation, orientation: int, is_turned: bool) -> DecodedImage:
    """The image the way up that is wanted. `is_turned`: the decoder has turned it already."""
    if orientation == UPRIGHT:
        return image
    is_upright = is_turned if wanted == "Pillow" else wanted == "apply"
    note = ORIENTATION_APPLIED if is_upright else ORIENTATION_KEPT
    pixels = image.pixels
    if is_upright != is_turned:
        pixels = turn_upright(pixels, orientation) if is_upright else turn_back(pixels, orientation)
    return image._replace(pixels=pixels, notes=(*image.notes, note))


def _decode_plain_jpeg(data: bytes, reading: Reading, reserve: Reserve, turns: bool) -> Pixels | None:
    """libjpeg-turbo with Pillow's own settings, a third faster than Pillow and bit-identical to it.

    None where it finds anything odd (CMYK, a warning, an end too early): Pillow judges those.
    """
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data, strict=True)
    except (ValueError, MemoryError):
        return None
    reading.limits.check_pixels(int(width), int(height))
    if colorspace in ("CMYK", "YCCK"):
        return None
    reserve(jpeg_bytes((width, height), data, reading.enough, turns))
    side = "min_width" if width >= height else "min_height"
    smaller = {side: reading.enough} if reading.enough else {}
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, strict=True, **smaller)
    except (ValueError, MemoryError):
        return None
    return pixels


@dataclass
class _PillowFile:
    """One image on its way through a plugin of Pillow."""

    kind: ImageFormat
    data: bytes
    reading: Reading
    reserve: Reserve
    is_open: bool = field(default=False, init=False)

    def read(self) -> DecodedImage:
        plugin = _PLUGINS.get(self.kind) or extra_plugin(self.kind)
        # Decoders raise whatever they meet: OSError, SyntaxError, ValueError, struct.error, zlib.error, IndexError…
        # All of it is about these bytes, so all of it becomes the row's error.
        try:
            return self._read(plugin)
        except (ImageError, NoRoomError):
            raise
        except Image.DecompressionBombError as error:
            raise ImageError("too-large", f"{self.kind}: {error}") from error
        except MemoryError as error:
            raise ImageError("too-large", f"{self.kind}: not enough memory to decode it") from error
        except Exception as error:
            reason = why_unsupported(self.kind, self.data, self.is_open, error)
            if reason:
                raise ImageError("unsupported", reason) from error
            raise ImageError("truncated", f"{self.kind}: {str(error) or type(error).__name__}") from error

    def _read(self, plugin: type[ImageFile]) -> DecodedImage:
        # Turned after Pillow's own copy of it is gone.
        decoded, orientation, is_turned = self._decode(plugin)
        return turn(decoded, self.reading.orientation, orientation, is_turned)

    def _decode(self, plugin: type[ImageFile]) -> tuple[DecodedImage, int, bool]:
        """The picture, the orientation that is stored, and whether the decoder has turned it."""
        limits, before = self.reading.limits, UPRIGHT
        if self.kind == "JPEG XL":  # its plugin decodes when it opens
            width, height, before = jxl_header(self.data)
            limits.check_pixels(width, height)
            self._reserve((width, height), "RGBA")
        with plugin(io.BytesIO(self.data)) as image:
            self.is_open = True
            limits.check_pixels(*image.size)
            if self.kind == "TIFF":
                before = stored_orientation(image)  # its reader turns it and forgets
            elif self.kind == "HEIC":
                before = heic_orientation(image)
            if self.kind != "JPEG XL":
                self._reserve(image.size, image.mode)
            if self.kind == "JPEG" and self.reading.enough:
                enough, longer = self.reading.enough, max(image.size)
                image.draft(None, (max(1, enough * image.width // longer), max(1, enough * image.height // longer)))
            image.load()
            # A JPEG inside a JPEG XL is unpacked and decoded as one, which turns nothing.
            is_turned = self.kind in ("TIFF", "HEIC") or (self.kind == "JPEG XL" and not getattr(image, "jpeg", False))
            return self._pixels(image), before if is_turned else stored_orientation(image), is_turned

    def _reserve(self, size: tuple[int, int], mode: str) -> None:
        # Where the orientation stands behind the pixels, only decoding tells it.
        may_turn = self.reading.orientation != "Pillow"
        self.reserve(plugin_bytes(self.kind, size, mode, self.data, may_turn, self.reading.scales_depth))

    def _pixels(self, image: Any) -> DecodedImage:
        # A palette's alpha does not change RGB; dropping it spares a warning for each image.
        image.info.pop("transparency", None)
        if image.mode not in depth.DEEP_MODES:
            return DecodedImage(to_rgb(image))
        if self.reading.scales_depth:
            return DecodedImage(depth.scale(image))
        notes = (DEPTH_CLIPPED,) if depth.is_clipped(image) else ()
        return DecodedImage(to_rgb(image), notes)
