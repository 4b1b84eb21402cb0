"""Why a whole file cannot be read: `images` asks when a decoder has refused one, before it calls it truncated.

Told from the file's own header, so that what is `unsupported` does not hang on a decoder's words. A file of a kind that
nothing here reads is not worth fetching again, whether all of it is there or not.
"""

from job.sources.magic import ImageFormat
from job.stages.formats import tiff_tags
from job.stages.formats.tiff_tags import Tags, first

_HIERARCHICAL = frozenset((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF))
_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}  # without DHT, JPG and DAC

_COMPRESSIONS = {
    1: "no compression",
    2: "CCITT RLE",
    3: "CCITT Group 3",
    4: "CCITT Group 4",
    5: "LZW",
    6: "old-style JPEG",
    7: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG of DNG",
    34925: "LZMA",
    34933: "PNG",
    34934: "JPEG XR",
    22610: "JPEG XR",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
# Pillow opens these and its libtiff, as PyPI's wheels bring it, has no decoder for them.
_NOT_CONFIGURED = frozenset((50001,))
_PHOTOMETRICS = {
    0: "grey",
    1: "grey",
    2: "RGB",
    3: "palette",
    5: "CMYK",
    6: "YCbCr",
    8: "Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32844: "LogL",
    32845: "LogLuv",
}
_REFUSALS = ("unsupported", "not supported", "not implemented", "no codec available")
_SAMPLES = {1: "unsigned", 2: "signed", 3: "float", 4: "untyped", 5: "complex", 6: "complex float"}


def why_unsupported(kind: ImageFormat, data: bytes, opened: bool, error: Exception) -> str | None:
    """What the file is, in words; None where its kind is one that is read, so that it must be broken.

    `opened`: the decoder took the header, and failed at the pixels with `error`.
    """
    if kind == "JPEG":
        return _jpeg(data)
    if kind == "PNG":
        return "Apple's crushed PNG (CgBI), which only Apple's software reads" if data[12:16] == b"CgBI" else None
    if kind == "TIFF":
        return _tiff(data, opened, error)
    if kind == "JPEG 2000":
        return _jpeg_2000(data)
    if kind in ("AVIF", "HEIC", "JPEG XL") and any(word in str(error).lower() for word in _REFUSALS):
        return f"{kind}: {error}"
    # Its errors of this kind are many (compressions, depths, bit fields, headers) and all begin alike.
    if kind == "BMP" and str(error).startswith("Unsupported BMP"):
        return str(error).removeprefix("Unsupported ")
    return None


def _jpeg(data: bytes) -> str | None:
    frame = _jpeg_frame(data)
    if frame is None:
        return None
    marker, bits, components = frame
    if marker == 0xF7:
        return f"JPEG-LS, {bits} bits"
    if marker in _HIERARCHICAL:
        return "hierarchical JPEG"
    if bits != 8:
        return f"{bits}-bit {'lossless ' if marker in (0xC3, 0xCB) else ''}JPEG; of 8 bits they are read"
    if components not in (1, 3, 4):
        return f"JPEG of {components} components; of 1, 3 and 4 they are read"
    return None


def _jpeg_frame(data: bytes) -> tuple[int, int, int] | None:
    """Marker, bits and components of the frame header; None where there is none before the first scan."""
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _FRAMES:
            return marker, data[at + 4], data[at + 9]
        elif marker in (0xDA, 0xD9):
            return None
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _jpeg_2000(data: bytes) -> str | None:
    size = data.find(b"\xff\x4f\xff\x51")
    components = int.from_bytes(data[size + 40 : size + 42], "big") if size >= 0 else 0
    return f"JPEG 2000 of {components} components; of 1 to 4 they are read" if components > 4 else None


def _tiff(data: bytes, opened: bool, error: Exception) -> str | None:
    tags = tiff_tags.read_tags(data)
    if not {tiff_tags.WIDTH, tiff_tags.HEIGHT} <= tags.keys() or not {tiff_tags.STRIPS, tiff_tags.TILES} & tags.keys():
        return None
    compression = first(tags, tiff_tags.COMPRESSION, 1)
    # Where layers are stored one after the other, Pillow finds out only then that it has no way to read one.
    if opened and compression not in _NOT_CONFIGURED and "unknown raw mode" not in str(error):
        return None
    return f"TIFF of {_layout(tags)}, {_COMPRESSIONS.get(compression, f'compression {compression}')}{_order(data)}"


def _order(data: bytes) -> str:
    return ", big-endian BigTIFF" if data.startswith(b"MM\0+") else ""


def _layout(tags: Tags) -> str:
    bits = "/".join(map(str, sorted(set(tags.get(tiff_tags.BITS) or (1,)))))
    kind = _SAMPLES.get(first(tags, tiff_tags.SAMPLE_FORMAT, 1), "unknown")
    number = first(tags, tiff_tags.PHOTOMETRIC, 0)
    colours = _PHOTOMETRICS.get(number, f"photometric {number}")
    samples = first(tags, tiff_tags.SAMPLES, 1)
    planes = ", each in a plane of its own" if samples > 1 and first(tags, tiff_tags.PLANES, 1) == 2 else ""
    return f"{samples} x {bits} bits {kind} ({colours}{planes})"
