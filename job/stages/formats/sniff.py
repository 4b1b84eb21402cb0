"""Which format bytes are in, told from the bytes alone: a name may say anything.

`format_of` knows the formats that are read and names the others that turn up among images: pages and errors that
servers sent instead of a picture, drawings, documents, and the RAW files of cameras.
"""

import re

from job.errors import ImageError
from job.sources.magic import ImageFormat, magic_format
from job.stages.formats.tiff_tags import is_raw, read_tags

_READ = "JPEG, PNG, WebP, AVIF, JPEG 2000, BMP, GIF and TIFF are read, and HEIC and JPEG XL with the extra `formats`"

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
    name = magic_format(data)
    if name == "TIFF" and (data[8:10] == b"CR" or is_raw(read_tags(data))):
        raise ImageError("not-an-image", f"it is a camera's RAW file (such as DNG, CR2, NEF or ARW); {_READ}")
    if name is not None:
        return name
    raise ImageError("not-an-image", f"{_other(data)}; {_READ}")


def _other(data: bytes) -> str:
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
