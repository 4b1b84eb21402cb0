"""JPEGs as the model takes them: decoded and resized in one, without what the crop leaves out, or at a smaller scale.

`prepare_jpeg` is tried before `images.read_image`, to which it leaves the rest: other formats, files that are not all
in order, and resizes that are Pillow's. Where `source.decode` is `scaled`, the pixels
are libjpeg's own reduction to a half, a quarter or an eighth, resized; else those of the whole picture, bit for bit.
"""

from dataclasses import replace

import simplejpeg

from job.errors import ImageError
from job.recipe import TORCH_FILTERS, Kept, Pixels, Recipe, Size, reduces
from job.spec.columns import SCALED
from job.stages.formats.orientation import SIDEWAYS, UPRIGHT, jpeg_orientation, stored_part
from job.stages.images import DecodedImage, Reading, needs_turn, read_image, turn
from job.stages.jpeg import jpeg_rows, kept_pixels
from job.stages.needed_bytes import jpeg_bytes
from job.stages.pixel_budget import Reserve

_DIVISORS = (8, 4, 2)  # those between, as 3/4, take longer than the whole picture


def prepare_jpeg(data: bytes, reading: Reading, recipe: Recipe, reserve: Reserve) -> DecodedImage | None:
    """What the recipe makes of a JPEG, with `original` set; None where it has to be read whole.

    Raises ImageError (too-large), and what `reserve` raises.
    """
    if recipe.resize is None or not (reading.scales or _resizes_by_parts(recipe)):
        return None
    size = _plain_jpeg(data, reading)
    if size is None:
        return None
    orientation = jpeg_orientation(data)
    turns = needs_turn(reading.orientation, orientation, is_turned=False)
    if reading.scales:
        divisor = divisor_for(size, recipe, orientation if turns else UPRIGHT)
        if divisor > 1:
            return _scaled(data, reading, recipe, reserve, size, divisor, orientation)
    if not _resizes_by_parts(recipe):
        return None
    if turns:
        return _turned(data, reading, recipe, reserve, size, orientation)
    image = _kept(data, recipe, reserve, size)
    return image and turn(image, reading.orientation, orientation, is_turned=False)


def prepare_exactly(data: bytes, reading: Reading, recipe: Recipe, reserve: Reserve) -> Pixels:
    """What the recipe makes of an image that is not scaled. Raises as `read_image` does."""
    reading = replace(reading, scales=False)
    image = prepare_jpeg(data, reading, recipe, reserve) or read_image(data, reading, reserve)
    return image.pixels if image.original else recipe.apply(image.pixels)


def divisor_for(size: Size, recipe: Recipe, orientation: int = UPRIGHT) -> int:
    """The largest power of two, up to 8, that leaves no less than what the recipe resizes to; 1 for none.

    `size`: (height, width), as of the file. A picture that is turned has to be divided evenly: what of its last pixels
    is not picture would come first.
    """
    height, width = reversed(size) if orientation in SIDEWAYS else size
    try:
        wanted = recipe.kept((height, width)).size
    except ImageError:
        return 1
    for by in _DIVISORS:
        is_even = height % by == 0 and width % by == 0
        if -(-height // by) >= wanted[0] and -(-width // by) >= wanted[1] and (is_even or orientation == UPRIGHT):
            return by
    return 1


def _resizes_by_parts(recipe: Recipe) -> bool:
    antialiases = recipe.resampler != "torch without antialias" and recipe.interpolation in TORCH_FILTERS
    return antialiases and jpeg_rows.is_available()


def _plain_jpeg(data: bytes, reading: Reading) -> Size | None:
    """(height, width) of a JPEG in grey, RGB or YCbCr; of anything else, or nothing, None."""
    if not data.startswith(b"\xff\xd8\xff") or len(data) > reading.limits.max_bytes:
        return None
    try:
        height, width, colours, subsampling = simplejpeg.decode_jpeg_header(data, strict=True)
    except (ValueError, MemoryError):
        return None
    if colours in ("CMYK", "YCCK") or subsampling == "unknown":
        return None
    reading.limits.check_pixels(int(width), int(height))
    return int(height), int(width)


def _part(recipe: Recipe, size: Size) -> Kept | None:
    """None where it is no part that torch reduces."""
    try:
        kept = recipe.kept(size)
    except ImageError:
        return None  # the file may not be in order, which is said first
    is_reduced = kept.size != size and reduces(size, kept.size)
    return kept if is_reduced and recipe.is_for_torch(size, kept.size) else None


def _kept(data: bytes, recipe: Recipe, reserve: Reserve, size: Size) -> DecodedImage | None:
    kept = _part(recipe, size)
    if kept is None:
        return None
    reserve(kept_pixels.needed_bytes(size, kept, data))
    pixels = kept_pixels.kept_pixels(data, size, kept, recipe.interpolation)
    return None if pixels is None else DecodedImage(recipe.centred(pixels), original=size)


def _turned(
    data: bytes, reading: Reading, recipe: Recipe, reserve: Reserve, size: Size, orientation: int
) -> DecodedImage | None:
    """Decoded and turned where the crop needs it, at its place in the whole: resizing begins at an edge."""
    upright = size[::-1] if orientation in SIDEWAYS else size
    kept = _part(recipe, upright)
    if kept is None:
        return None
    reserve(jpeg_bytes((size[1], size[0]), data, None, turns=False))
    rows, columns = stored_part(*kept.source(upright, recipe.interpolation), size, orientation)
    pixels = kept_pixels.upright_pixels(data, size, rows, columns, orientation)
    if pixels is None:
        return None
    image = turn(DecodedImage(pixels), reading.orientation, orientation, is_turned=True)
    return image._replace(pixels=recipe.apply(pixels), original=upright)


def _scaled(
    data: bytes, reading: Reading, recipe: Recipe, reserve: Reserve, size: Size, divisor: int, orientation: int
) -> DecodedImage | None:
    turns = needs_turn(reading.orientation, orientation, is_turned=False)
    smaller = -(-size[0] // divisor), -(-size[1] // divisor)
    reserve(jpeg_bytes((size[1], size[0]), data, max(smaller), turns))
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=smaller[0], min_width=smaller[1], strict=True)
    except (ValueError, MemoryError):
        return None
    if pixels.shape[:2] != smaller:
        return None
    image = turn(DecodedImage(pixels, (SCALED,)), reading.orientation, orientation, is_turned=False)
    original = size[::-1] if turns and orientation in SIDEWAYS else size
    return image._replace(pixels=recipe.apply(image.pixels, original, divisor), original=original)
