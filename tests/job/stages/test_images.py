"""Decoding: the very pixels of Pillow's convert("RGB") for every format and mode, and an ImageError for all else."""

import struct
import threading
import warnings
import zlib
from io import BytesIO
from itertools import product

import numpy as np
import odd_images
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from job.errors import ImageError
from job.spec.limits import Limits
from job.stages.images import decode

LIMITS = Limits(max_pixels=2_000_000, max_bytes=10_000_000)
SIZES = ((1, 1), (1, 9), (17, 1), (15, 33), (64, 48))


def photo(height=37, width=53, mode="RGB", seed=0):
    """Smooth colours with grain: what codecs are made for, and no two pixels alike."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (5, 5, 4), np.uint8), "RGBA").resize((width, height), 3)
    grain = random.normal(0, 8, (height, width, 4))
    image = Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8), "RGBA")
    if mode in ("I;16", "I", "F"):
        return Image.fromarray(
            (np.asarray(image.convert("L")) * 3.7).astype({"I;16": "<u2", "I": "<i4", "F": "<f4"}[mode])
        )
    if mode == "LAB":
        return ImageCms.profileToProfile(
            image.convert("RGB"), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    return image if mode == "RGBA" else image.convert("RGB").convert(mode)


def encode(image, kind, **options):
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pillow(data):
    with warnings.catch_warnings(), Image.open(BytesIO(data)) as image:
        warnings.simplefilter("ignore")
        return np.asarray(image.convert("RGB"))


def assert_same_as_pillow(data):
    pixels = decode(data, LIMITS)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert np.array_equal(pixels, pillow(data))


def kind_of(data, limits=LIMITS):
    with pytest.raises(ImageError) as raised:
        decode(data, limits)
    assert str(raised.value).startswith(f"{raised.value.kind}: ")
    return raised.value.kind


def ycck(data):
    """A CMYK JPEG that says it is YCCK: the Adobe marker's transform is 2."""
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


def png_16_bit(channels, interlaced=False):
    """Pillow writes no 16-bit colour; PNG's filter 0 is easily written by hand."""
    rows = np.random.default_rng(0).integers(0, 65536, (4, 5, channels)).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 5, 4, 16, {3: 2, 4: 6, 1: 0, 2: 4}[channels], 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_of_every_size_quality_and_subsampling_are_pillows(mode, progressive):
    for (height, width), quality, subsampling in product(SIZES, (5, 75, 100), (0, 1, 2)):
        image = photo(height, width, mode)
        options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
        assert_same_as_pillow(encode(image, "JPEG", **options))


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411", "Gray"])
def test_jpegs_with_rare_subsamplings_are_pillows(subsampling):
    for height, width in SIZES:
        pixels = np.ascontiguousarray(photo(height, width))
        assert_same_as_pillow(simplejpeg.encode_jpeg(pixels, 85, "RGB", subsampling))


@pytest.mark.parametrize(
    "options",
    [
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 2},
        {"optimize": True},
        {"keep_rgb": True},
        {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()},
        {"comment": b"\xff\xd8\xff"},
        {"dpi": (300, 300)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_jpegs_with_unusual_markers_are_pillows(options):
    assert_same_as_pillow(encode(photo(), "JPEG", **options))


def test_cmyk_and_ycck_jpegs_are_pillows():
    for height, width in SIZES:
        data = encode(photo(height, width, "CMYK"), "JPEG", quality=90)
        assert_same_as_pillow(data)
        assert_same_as_pillow(ycck(data))


def test_the_first_picture_of_a_phones_multi_picture_file_is_taken():
    data = encode(photo(), "MPO", save_all=True, append_images=[photo(seed=1)])
    assert Image.open(BytesIO(data)).format == "MPO"
    assert_same_as_pillow(data)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pngs_of_every_mode_are_pillows(mode):
    for height, width in SIZES:
        assert_same_as_pillow(encode(photo(height, width, mode), "PNG"))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_pngs_are_pillows(channels):
    assert_same_as_pillow(png_16_bit(channels))


@pytest.mark.parametrize("transparency", [3, bytes(range(256))])
def test_a_palettes_transparency_is_ignored_without_a_word(transparency):
    data = encode(photo(mode="P"), "PNG", transparency=transparency)
    assert_same_as_pillow(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode(data, LIMITS)


def test_a_transparent_colour_is_ignored():
    assert_same_as_pillow(encode(photo(), "PNG", transparency=(1, 2, 3)))
    assert_same_as_pillow(encode(photo(mode="L"), "PNG", transparency=7))


@pytest.mark.parametrize("options", [{"quality": 40}, {"lossless": True}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webps_are_pillows(mode, options):
    for height, width in SIZES:
        assert_same_as_pillow(encode(photo(height, width, mode), "WEBP", **options))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "1", "P"])
@pytest.mark.parametrize("options", [{}, {"quality": 100, "subsampling": "4:4:4"}, {"range": "limited"}])
def test_avifs_are_pillows(mode, options):
    for height, width in SIZES:
        assert_same_as_pillow(encode(photo(height, width, mode), "AVIF", **options))


@pytest.mark.parametrize("name", ["AVIF_10_BIT", "AVIF_12_BIT"])
def test_avifs_of_more_bits_are_pillows_and_the_picture(name):
    data = getattr(odd_images, name)
    assert_same_as_pillow(data)
    assert np.abs(decode(data, LIMITS).astype(int) - odd_images.PIXELS).max() < 30  # lossy, and a steep picture


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "YCbCr", "CMYK", "I;16"])
@pytest.mark.parametrize("options", [{}, {"irreversible": True}, {"no_jp2": True}, {"tile_size": (16, 16)}])
def test_jpeg_2000_is_pillows(mode, options):
    for height, width in SIZES:
        assert_same_as_pillow(encode(photo(height, width, mode), "JPEG2000", **options))


@pytest.mark.parametrize("name", ["JPEG_2000_12_BIT", "JPEG_2000_HIGH_THROUGHPUT"])
def test_rare_kinds_of_jpeg_2000_are_pillows_and_the_picture(name):
    data = getattr(odd_images, name)
    assert_same_as_pillow(data)
    assert np.abs(decode(data, LIMITS).astype(int) - odd_images.PIXELS).max() <= 1  # 12 bits are rounded


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_of_an_animation_is_taken(kind):
    frames = [photo(mode="RGB" if kind == "AVIF" else "P", seed=seed) for seed in range(3)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert Image.open(BytesIO(data)).n_frames == 3
    assert_same_as_pillow(data)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_gifs_are_pillows(mode):
    for (height, width), interlace in product(SIZES, (False, True)):
        assert_same_as_pillow(encode(photo(height, width, mode), "GIF", interlace=interlace))
    assert_same_as_pillow(encode(photo(mode="P"), "GIF", transparency=5))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmps_are_pillows(mode):
    for height, width in SIZES:
        assert_same_as_pillow(encode(photo(height, width, mode), "BMP"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"])
def test_tiffs_of_every_mode_are_pillows(mode):
    for height, width in SIZES:
        assert_same_as_pillow(encode(photo(height, width, mode), "TIFF"))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"])
def test_compressed_tiffs_are_pillows(compression):
    image = photo(mode="1" if compression == "group4" else "RGB")
    assert_same_as_pillow(encode(image, "TIFF", compression=compression))
    assert_same_as_pillow(encode(image, "TIFF", compression=compression, big_tiff=True))


def test_no_bytes_are_an_empty_file():
    assert kind_of(b"") == "empty"


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"<html>503</html>",
        b"BMW is a car, not a bitmap at all",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"%PDF-1.7",
        b"\0" * 100,
    ],
    ids=repr,
)
def test_other_files_are_not_images(data):
    assert kind_of(data) == "not-an-image"


def test_a_format_that_is_not_promised_is_not_an_image():
    assert kind_of(encode(photo(), "PPM")) == "not-an-image"
    assert kind_of(encode(photo(), "ICO")) == "not-an-image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000"])
def test_half_a_file_is_truncated(kind):
    data = encode(photo(mode="P" if kind == "GIF" else "RGB"), kind)
    assert kind_of(data[: len(data) // 2]) == "truncated"
    assert kind_of(data[:20]) == "truncated"


def test_broken_data_inside_a_file_is_truncated_too():
    data = bytearray(encode(photo(), "PNG"))
    data[len(data) // 2] ^= 0xFF
    assert kind_of(bytes(data)) == "truncated"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000"])
def test_the_limit_of_pixels_is_inclusive_and_known_from_the_header(kind):
    data = encode(photo(30, 40, "P" if kind == "GIF" else "RGB"), kind)
    assert decode(data, Limits(1200, 10_000_000)).shape == (30, 40, 3)
    assert kind_of(data, Limits(1199, 10_000_000)) == "too-large"


def test_the_limit_of_bytes_is_inclusive():
    data = encode(photo(), "JPEG")
    assert decode(data, Limits(10_000, len(data))).shape == (37, 53, 3)
    assert kind_of(data, Limits(10_000, len(data) - 1)) == "too-large"


def test_a_decompression_bomb_is_too_large_before_it_is_unpacked():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    data += struct.pack(">I", 4) + b"IDAT"
    assert kind_of(data + zlib.compress(b"\0" * 1000)) == "too-large"


SAMPLES = {
    "baseline": encode(photo(), "JPEG"),
    "progressive": encode(photo(), "JPEG", progressive=True),
    "restarts": encode(photo(), "JPEG", restart_marker_rows=1),
    "grey": encode(photo(mode="L"), "JPEG"),
    "cmyk": encode(photo(mode="CMYK"), "JPEG"),
    "mpo": encode(photo(), "MPO", save_all=True, append_images=[photo(seed=1)]),
    "png": encode(photo(), "PNG"),
    "palette png": encode(photo(mode="P"), "PNG", transparency=b"\1\2"),
    "webp": encode(photo(), "WEBP"),
    "gif": encode(photo(mode="P"), "GIF"),
    "bmp": encode(photo(), "BMP"),
    "tiff": encode(photo(), "TIFF"),
    "lzw tiff": encode(photo(), "TIFF", compression="tiff_lzw"),
    "jpeg tiff": encode(photo(), "TIFF", compression="jpeg"),
    "avif": encode(photo(), "AVIF"),
    "jp2": encode(photo(), "JPEG2000"),
    "j2k": encode(photo(), "JPEG2000", no_jp2=True),
}


def outcome(decoder, data):
    """Pixels, or None where the decoder refuses."""
    try:
        return decoder(data)
    except Exception:
        return None


def ours(data):
    """Pixels, or None for an ImageError; any other exception fails the test."""
    try:
        return decode(data, LIMITS)
    except ImageError:
        return None


@given(name=st.sampled_from(sorted(SAMPLES)), part=st.floats(0, 1))
def test_a_file_cut_anywhere_is_judged_as_pillow_judges_it(name, part):
    data = SAMPLES[name][: int(part * len(SAMPLES[name]))]
    expected, found = outcome(pillow, data), ours(data)
    assert (found is None) == (expected is None)
    assert found is None or np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["baseline", "progressive", "restarts", "grey"])
def test_a_jpeg_cut_at_each_of_its_last_bytes_is_judged_as_pillow_judges_it(name):
    for length in range(len(SAMPLES[name]) - 40, len(SAMPLES[name])):
        data = SAMPLES[name][:length]
        expected, found = outcome(pillow, data), ours(data)
        assert (found is None) == (expected is None), length
        assert found is None or np.array_equal(found, expected)


@given(
    name=st.sampled_from(sorted(SAMPLES)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_whatever_pillow_makes_of_a_damaged_file_we_make_of_it(name, changes):
    data = bytearray(SAMPLES[name])
    for part, byte in changes:
        data[int(part * len(data))] = byte
    expected, found = outcome(pillow, bytes(data)), ours(bytes(data))
    if expected is not None and expected.size <= 3 * LIMITS.max_pixels:
        assert found is not None
        assert np.array_equal(found, expected)


MAGIC = (
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"II*\0",
    b"MM\0+",
    b"\xff\x0a",
    b"\xff\x4f\xff\x51",
    b"\0\0\0\x20ftypavif",
    b"\0\0\0\x20ftypheic",
    b"\0\0\0\x0cJXL \r\n\x87\n",
    b"\0\0\0\x0cjP  \r\n\x87\n",
)


@given(
    data=st.binary(max_size=200),
    magic=st.sampled_from(MAGIC),
)
def test_noise_raises_nothing_but_image_errors(data, magic):
    ours(magic + data)


def test_many_threads_decode_at_once():
    expected = {name: pillow(data) for name, data in SAMPLES.items()}
    wrong = []

    def work():
        for name, data in SAMPLES.items():
            if not np.array_equal(decode(data, LIMITS), expected[name]):
                wrong.append(name)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
