"""Encoded bytes to pixels: exactly those of Pillow's `convert("RGB")`, faster where that is possible.

Called by the decode stage in many threads at once; the decoders run without the interpreter's lock. Knows nothing of
where the bytes came from or of what a model wants. The format is read from the first bytes, never from a name, and
Pillow's plugins for the six formats are called directly, so no other of its readers ever sees untrusted bytes. EXIF
orientation is left alone.
"""

import io

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from job.errors import ImageError
from job.spec.limits import Limits

# A phone's multi-picture file (MPO) begins as a JPEG, and its first picture is one.
_PLUGINS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
    (b"II\0*", TiffImageFile),
    (b"MM*\0", TiffImageFile),
    (b"II+\0", TiffImageFile),
    (b"MM\0+", TiffImageFile),
)
_BMP_HEADER_BYTES = frozenset((12, 40, 52, 56, 64, 108, 124))


def decode(data: bytes, limits: Limits) -> npt.NDArray[np.uint8]:
    """RGB pixels, `[H, W, 3]`, writable and contiguous.

    Raises ImageError, and nothing else, for bytes that are no such image.
    """
    limits.check_size(len(data))
    plugin = _plugin_for(data)
    if plugin is JpegImageFile:
        pixels = _decode_plain_jpeg(data, limits)
        if pixels is not None:
            return pixels
    return _decode_with_pillow(plugin, data, limits)


def _plugin_for(data: bytes) -> type[ImageFile]:
    for magic, plugin in _PLUGINS:
        if data.startswith(magic):
            return plugin
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    # "BM" alone begins too many texts; the size of the header that follows is one of a few.
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_BYTES:
        return BmpImageFile
    raise ImageError("not-an-image", f"begins with {data[:12]!r}; JPEG, PNG, WebP, BMP, GIF and TIFF are read")


def _decode_plain_jpeg(data: bytes, limits: Limits) -> npt.NDArray[np.uint8] | None:
    """libjpeg-turbo with Pillow's own settings, a third faster than Pillow and bit-identical to it.

    None where it finds anything odd (CMYK, a warning, an end too early): Pillow judges those.
    """
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data, strict=True)
    except (ValueError, MemoryError):
        return None
    limits.check_pixels(int(width), int(height))
    if colorspace in ("CMYK", "YCCK"):
        return None
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, "RGB", fastdct=False, fastupsample=False, strict=True
        )
    except (ValueError, MemoryError):
        return None
    return pixels


def _decode_with_pillow(plugin: type[ImageFile], data: bytes, limits: Limits) -> npt.NDArray[np.uint8]:
    # Decoders raise whatever they meet: OSError, SyntaxError, ValueError, struct.error, zlib.error, IndexError…
    # All of it is about these bytes, so all of it becomes the row's error.
    name = plugin.format
    try:
        with plugin(io.BytesIO(data)) as image:
            limits.check_pixels(*image.size)
            image.load()
            # A palette's alpha does not change RGB; dropping it spares a warning for each image.
            image.info.pop("transparency", None)
            return np.array(image.convert("RGB"))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("too-large", f"{name}: {error}") from error
    except MemoryError as error:
        raise ImageError("too-large", f"{name}: not enough memory to decode it") from error
    except Exception as error:
        raise ImageError("truncated", f"{name}: {str(error) or type(error).__name__}") from error
