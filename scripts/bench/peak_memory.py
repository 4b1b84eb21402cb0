"""The peak of memory with large pictures, each case in a fresh process over eight photographs of 48 megapixels.

`python -m scripts.bench.peak_memory` prints all; with `report`, `detect` or `decoders` that one. `decoders`
holds what each decoder takes a pixel against what the job reserves for it before it decodes.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from job.stages.machine import release_freed_memory

if TYPE_CHECKING:
    from job.spec.spec import JobSpec

SIZE, COUNT = (8000, 6000), 8
DECODER_SIZE = (2400, 1600)
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"format": "JPEG"},
    "JPEG, progressive": {"format": "JPEG", "progressive": True, "subsampling": 0},
    "JPEG, CMYK": {"format": "JPEG", "mode": "CMYK"},
    "PNG": {"format": "PNG", "compress_level": 1},
    "PNG, palette": {"format": "PNG", "compress_level": 1, "mode": "P"},
    "PNG, 16 bits": {"format": "PNG", "compress_level": 1, "mode": "I;16"},
    "WebP": {"format": "WEBP", "method": 0},
    "WebP, lossless": {"format": "WEBP", "method": 0, "lossless": True, "mode": "RGBA"},
    "BMP": {"format": "BMP"},
    "GIF": {"format": "GIF", "mode": "P"},
    "TIFF": {"format": "TIFF"},
    "TIFF, LZW": {"format": "TIFF", "compression": "tiff_lzw"},
    "TIFF, turned": {"format": "TIFF", "tiffinfo": {274: 6}},
    "TIFF, floats": {"format": "TIFF", "mode": "F"},
    "AVIF": {"format": "AVIF", "speed": 10, "mode": "RGBA"},
    "JPEG 2000": {"format": "JPEG2000", "mode": "RGBA"},
    "HEIC": {"format": "HEIF", "mode": "RGBA"},
    "JPEG XL": {"format": "JXL", "effort": 1, "mode": "RGBA"},
}


def photograph(size: tuple[int, int]) -> Image.Image:
    """Soft shapes in all colours: a JPEG of about two bits a pixel."""
    coarse = np.random.default_rng(0).integers(0, 256, (size[1] // 16 + 1, size[0] // 16 + 1, 4), np.uint8)
    return Image.fromarray(coarse, "RGBA").resize(size, Image.Resampling.BICUBIC)


def write_photographs(folder: Path, size: tuple[int, int] = SIZE, count: int = COUNT, **options: Any) -> None:
    buffer = BytesIO()
    photograph(size).convert("RGB").save(buffer, **{"format": "JPEG", "quality": 90, **options})
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(buffer.getvalue())


def reset_peak() -> int:
    """Begins to measure; the bytes that are resident now. https://docs.kernel.org/filesystems/proc.html, clear_refs"""
    release_freed_memory()  # it could be used again unseen
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def report(folder: Path) -> int:
    """The pictures of a report, as the driver draws them."""
    from job.plan.freeze import freeze
    from job.plan.manifest import Manifest
    from job.plan.plan import run_paths
    from job.report.publish import thumbnails
    from job.report.sampled_rows import SampledRow
    from job.sources.open_source import open_source
    from job.spec.limits import Limits
    from job.stores.storage import open_folder

    spec = _spec(folder)
    paths, source = run_paths(spec), open_source(spec.source, Limits.of(spec.errors))
    plan = freeze(spec, paths, open_folder(paths.uri), source.list({}))
    rows = [SampledRow(0, row, f"{row}.jpg", *SIZE) for row in range(COUNT)]
    before = reset_peak()
    if len(thumbnails(spec, Manifest(paths, plan.parts), rows)) != COUNT:
        raise RuntimeError("pictures are missing")
    return resident("VmHWM") - before


def detect(folder: Path) -> int:
    """A whole run of a detector at batch 64, in this process."""
    from rich.console import Console

    from job.run import run

    before = reset_peak()
    result = run(_spec(folder), None, "local", Console(quiet=True))
    if result.failed or result.rows != COUNT:
        raise RuntimeError(f"{result.failed} of {result.rows} images failed")
    return resident("VmHWM") - before


def _spec(folder: Path) -> "JobSpec":
    from job.spec.spec import JobSpec

    return JobSpec.model_validate(
        {
            "name": "large",
            "source": {"uri": str(folder)},
            "model": {
                "kind": "torchvision",
                "name": "fasterrcnn_mobilenet_v3_large_320_fpn",
                "task": "detect",
                "weights": "none",
            },
            "compute": {"batch_size": 64},
            "output": {"uri": f"{folder}/runs"},
        }
    )


def decoder(name: str) -> tuple[float, float]:
    """Bytes a pixel that it takes, and those that are reserved for it."""
    from job.spec.limits import Limits
    from job.stages.images import Reading, read_image

    reading, reserved = Reading(Limits(10**9, 10**9)), [0]
    small, data = _encoded(name, (64, 48)), _encoded(name, DECODER_SIZE)
    read_image(small, reading)  # what a decoder keeps for good
    before = reset_peak()
    read_image(data, reading, reserved.append)
    pixels = DECODER_SIZE[0] * DECODER_SIZE[1]
    return (resident("VmHWM") - before) / pixels, reserved[-1] / pixels


def _encoded(name: str, size: tuple[int, int]) -> bytes:
    import pillow_heif
    import pillow_jxl  # noqa: F401 - registers itself

    pillow_heif.register_heif_opener()
    options = dict(OPTIONS[name])
    picture, mode, buffer = photograph(size), options.pop("mode", "RGB"), BytesIO()
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    elif mode == "F":
        picture = picture.convert("L").convert("F")
    else:
        picture = picture.convert(str(mode))
    picture.save(buffer, **options)
    return buffer.getvalue()


CASES: dict[str, Callable[[Path], int]] = {"report": report, "detect": detect}


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--here"]:
        case, folder, *names = arguments[1:]
        print(*((CASES[case](Path(folder)),) if case in CASES else decoder(*names)))
        return 0
    wanted = arguments or [*CASES, "decoders"]
    with tempfile.TemporaryDirectory() as folder:
        for case in [case for case in CASES if case in wanted]:
            pictures = Path(folder, case)
            pictures.mkdir()
            write_photographs(pictures)
            print(f"{case}: {int(_in_process(case, str(pictures))) / 1e6:,.0f} MB more at the peak", flush=True)
        for name in OPTIONS if "decoders" in wanted else ():
            took, reserved = _in_process("decoder", folder, name).split()
            print(f"{name:20} takes {float(took):5.1f} bytes a pixel, reserves {float(reserved):5.1f}", flush=True)
    return 0


def _in_process(*arguments: str) -> str:
    command = [sys.executable, "-m", "scripts.bench.peak_memory", "--here", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
