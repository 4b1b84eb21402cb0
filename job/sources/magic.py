"""Which format bytes are in, by how they begin: a name may say anything.

Decoding asks `job.stages.formats.sniff`, which judges what is none of these too; listing asks here, of a file's head.
"""

from typing import Literal

ImageFormat = Literal["JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF", "AVIF", "JPEG 2000", "HEIC", "JPEG XL"]

HEAD_BYTES = 512
"""So many bytes from a file's start tell all that they tell."""

# A phone's multi-picture file (MPO) begins as a JPEG, and its first picture is one; JPEG-LS begins as one, too.
_MAGIC: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II\0*", "TIFF"),
    (b"MM*\0", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
)
_BMP_HEADER_BYTES = frozenset((12, 40, 52, 56, 64, 108, 124))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIC_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2")
)


def magic_format(data: bytes) -> ImageFormat | None:
    """The format of bytes, or of their head; None for what is not read. A camera's RAW file may begin as a TIFF."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    # "BM" alone begins too many texts; the size of the header that follows is one of a few.
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_BYTES:
        return "BMP"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & _HEIC_BRANDS else None


def _brands(data: bytes) -> frozenset[bytes]:
    """The brands of an ISO media file, the first of which is no more than the writer's preference."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), len(data), HEAD_BYTES)
    return frozenset([data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))])
