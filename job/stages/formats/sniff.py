"""Which format bytes are in, told from the bytes alone: a name may say anything.

`format_of` knows the formats that are read and names the others that turn up among images: pages and errors that
servers sent instead of a picture, drawings, documents, and the RAW files of cameras.
"""

import re
from typing import Literal

from job.errors import ImageError
from job.stages.formats.tiff_tags import is_raw, read_tags

ImageFormat = Literal["JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF", "AVIF", "JPEG 2000", "HEIC", "JPEG XL"]

_READ = "JPEG, PNG, WebP, AVIF, JPEG 2000, BMP, GIF and TIFF are read, and HEIC and JPEG XL with the extra `formats`"

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

# Where, what, and what it is called.
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "a PDF document"),
    (0, b"FUJIFILMCCD-RAW", "a camera's RAW file (Fujifilm RAF)"),
    (0, b"IIRO", "a camera's RAW file (Olympus ORF)"),
    (0, b"IIRS", "a camera's RAW file (Olympus ORF)"),
    (0, b"MMOR", "a camera's RAW file (Olympus ORF)"),
    (0, b"IIU\0", "a camera's RAW file (Panasonic RW2)"),
    (0, b"FOVb", "a camera's RAW file (Sigma X3F)"),
    (0, b"\0MRM", "a camera's RAW file (Minolta MRW)"),
    (6, b"HEAPCCDR", "a camera's RAW file (Canon CRW)"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript document (EPS)"),
    (0, b"gimp xcf", "a GIMP document"),
    (0, b"II\xbc\x01", "a JPEG XR image"),
    (0, b"\0\0\1\0", "an icon (ICO)"),
    (0, b"icns", "an icon (ICNS)"),
    (0, b"DDS ", "a texture (DDS)"),
    (0, b"v/1\x01", "an OpenEXR image"),
    (0, b"#?RADIANCE", "a Radiance HDR image"),
    (0, b"qoif", "a QOI image"),
    (0, b"SIMPLE  =", "a FITS image"),
    (128, b"DICM", "a DICOM file"),
    (0, b"AT&TFORM", "a DjVu document"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (0, b"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)"),
    (0, b"FLV\1", "a video (Flash)"),
    (8, b"AVI LIST", "a video (AVI)"),
    (8, b"WAVEfmt", "a sound (WAV)"),
    (0, b"\x1f\x8b", "gzip's compressed data"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"version https://git-lfs", "a pointer of Git LFS: the file itself was not fetched"),
)
_FTYP_OTHERS = {b"crx ": "a camera's RAW file (Canon CR3)"}

# What may stand before the first tag: white space, the declaration, comments, a document type with its own entities.
_PROLOG = re.compile(rb"(?:\s+|<\?.*?\?>|<!--.*?-->|<!doctype[^>\[]*(?:\[.*?\]\s*)?>)*", re.DOTALL | re.IGNORECASE)
_HTML = re.compile(rb"<!doctype\s+html|<(?:html|head|body|title|meta|script|div|center|h1|p)[\s/>]", re.IGNORECASE)
_SVG = re.compile(rb"<(?:\w+:)?svg[\s>]", re.IGNORECASE)
_HEAD_BYTES = 4096


def format_of(data: bytes) -> ImageFormat:
    """Raises ImageError, `not-an-image`, with the name of what it is instead."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            if name == "TIFF" and (data[8:10] == b"CR" or is_raw(read_tags(data))):
                raise ImageError("not-an-image", f"it is a camera's RAW file (such as DNG, CR2, NEF or ARW); {_READ}")
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    # "BM" alone begins too many texts; the size of the header that follows is one of a few.
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_BYTES:
        return "BMP"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIC_BRANDS:
        return "HEIC"
    raise ImageError("not-an-image", f"{_other(data, brands)}; {_READ}")


def _brands(data: bytes) -> frozenset[bytes]:
    """The brands of an ISO media file, the first of which is no more than the writer's preference."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), len(data), 512)
    return frozenset([data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))])


def _other(data: bytes, brands: frozenset[bytes]) -> str:
    for at, magic, name in _OTHERS:
        if data.startswith(magic, at):
            return f"it is {name}"
    if data[4:8] == b"ftyp":
        return f"it is {_FTYP_OTHERS.get(data[8:12], 'a video (MP4 or QuickTime)')}"
    return _text(data[:_HEAD_BYTES]) or f"begins with {data[:12]!r}"


def _text(head: bytes) -> str | None:
    """What a text is, by its first tag or letter; None for what is no text of a known kind."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "replace").encode()
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    prolog = _PROLOG.match(head)
    rest = head[prolog.end() :] if prolog else head
    if _SVG.match(rest):
        return "it is an SVG drawing, which has no pixels until something renders it"
    if _HTML.match(head) or _HTML.match(rest):
        return "it is an HTML page, which a server or proxy sent instead of the image; fetch it again"
    if head.startswith(b"<?xml") or (rest.startswith(b"<") and re.match(rb"<[\w:]+[\s/>]", rest)):
        return "it is XML, such as a store's refusal; fetch it again"
    if re.match(rb'[{\[]\s*["{\[\]}]', rest):
        return "it is JSON, such as a server's refusal; fetch it again"
    return None
