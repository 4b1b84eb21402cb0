"""What bytes are: told from themselves, and where they are no image, named."""

import gzip
import struct

import pytest

from job.errors import ImageError
from job.stages.formats.sniff import format_of


def ftyp(major, *compatible):
    brands = major + b"\0\0\0\0" + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + b"\0\0\0\x08meta"


def tiff(*entries, order="<"):
    """A TIFF of one directory; entries are tag, type, count, value."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    packed = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    return magic + struct.pack(f"{order}IH", 8, len(entries)) + packed + b"\0" * 4


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (ftyp(b"avif", b"avif", b"mif1", b"miaf"), "AVIF"),
        (ftyp(b"avis", b"avis", b"msf1"), "AVIF"),
        (ftyp(b"mif1", b"mif1", b"avif", b"miaf"), "AVIF"),
        (ftyp(b"heic", b"mif1", b"MiHE", b"miaf", b"heic"), "HEIC"),
        (ftyp(b"mif1", b"mif1", b"heic"), "HEIC"),
        (ftyp(b"msf1", b"hevc"), "HEIC"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (tiff((256, 3, 1, 4)), "TIFF"),
        (tiff((256, 3, 1, 4), order=">"), "TIFF"),
    ],
)
def test_a_format_is_told_from_the_first_bytes(data, kind):
    assert format_of(data) == kind


def named(data):
    with pytest.raises(ImageError) as raised:
        format_of(data)
    assert raised.value.kind == "not-an-image"
    return str(raised.value).removeprefix("not-an-image: ").partition("; JPEG, PNG,")[0]


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


@pytest.mark.parametrize(
    "data",
    [
        SVG,
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + SVG,
        b"\xef\xbb\xbf  \n<!-- Generator: Adobe Illustrator -->\n" + SVG,
        b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://x/svg11.dtd">' + SVG,
        b'<?xml version="1.0"?><!DOCTYPE svg [\n<!ENTITY ns_svg "http://www.w3.org/2000/svg">\n]>' + SVG,
        b'<svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>',
        '<?xml version="1.0" encoding="UTF-16"?><svg/>'.replace("<svg/>", "<svg >").encode("utf-16"),
    ],
    ids=repr,
)
def test_an_svg_is_named(data):
    assert named(data).startswith("it is an SVG drawing")


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html><html><head><title>Sign in</title>",
        b"\r\n<!doctype HTML PUBLIC '-//IETF//DTD HTML 2.0//EN'>",
        b"<HTML><BODY>403 Forbidden</BODY></HTML>",
        b"<html>503</html>",
        b"\xef\xbb\xbf<!-- proxy --><html lang=en>",
        b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><svg/>',
        b"<head><meta charset=utf-8></head>",
        b"<script>location='/login'</script>",
    ],
    ids=repr,
)
def test_a_page_that_came_instead_of_an_image_is_named(data):
    assert named(data).startswith("it is an HTML page")


@pytest.mark.parametrize(
    "data",
    [
        b"FUJIFILMCCD-RAW 0201FF383501",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"FOVb\0\0\2\0",
        b"\0MRM\0\0\xab\xcd",
        b"II\x1a\0\0\0HEAPCCDR",
        ftyp(b"crx ", b"crx ", b"isom"),
        b"II*\0\x10\0\0\0CR\2\0" + b"\0" * 40,
        tiff((254, 4, 1, 1), (256, 3, 1, 160), (50706, 1, 4, 0x0401)),  # DNG, a thumbnail first
        tiff((254, 4, 1, 1), (256, 3, 1, 160), (271, 2, 4, 0), (330, 4, 1, 99)),  # NEF, ARW
        tiff((256, 3, 1, 6000), (262, 3, 1, 32803)),  # the mosaic itself
    ],
    ids=repr,
)
def test_a_cameras_raw_file_is_named(data):
    assert named(data).startswith("it is a camera's RAW file")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7\n", "it is a PDF document"),
        (b"8BPS\0\1", "it is a Photoshop document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "it is a PostScript document"),
        (ftyp(b"isom", b"mp41"), "it is a video (MP4 or QuickTime)"),
        (b"\x1a\x45\xdf\xa3\x01", "it is a video (Matroska or WebM)"),
        (gzip.compress(SVG, mtime=0), "it is gzip's compressed data"),
        (b"PK\3\4\x14\0", "it is a ZIP archive"),
        (b"\0\0\1\0\1\0", "it is an icon (ICO)"),
        (b"\0" * 128 + b"DICM", "it is a DICOM file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "it is a pointer of Git LFS: the file itself was",
        ),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "it is XML, such as a store's refusal"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "it is XML, such as a store's refusal"),
        (b'{"error": "not found"}', "it is JSON, such as a server's refusal"),
        (b"RIFF\0\0\0\0WAVEfmt ", "it is a sound (WAV)"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_other_files_that_lie_among_images_are_named(data, name):
    assert named(data).startswith(name)


@pytest.mark.parametrize("data", [b"x", b"a < b", b"\0" * 100, b"BMW is a car", b"<3", b"[1] see below", b"{braces}"])
def test_what_is_nothing_known_shows_its_first_bytes(data):
    assert named(data) == f"begins with {data[:12]!r}"


def test_the_message_says_what_is_read():
    with pytest.raises(
        ImageError, match=r"AVIF, JPEG 2000, .* are read, and HEIC and JPEG XL with the extra `formats`"
    ):
        format_of(b"x")
