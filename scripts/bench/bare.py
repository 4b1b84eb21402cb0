"""What the cores can do: read, decode, resize and crop in a thread a core, and nothing else.

`python -m scripts.bench.bare --help`. No model, no output. It shares no code with the job, only the two libraries, so
that waste in the job's own code shows as a distance.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
import torch

from job.stages.machine import cores
from scripts.bench.program import Options, parse
from scripts.bench.record import batch_done

SHORT_EDGE, CROP = 256, 224


class Tally:
    """Hands out paths and counts what is done; records as often as the others do, once a batch."""

    def __init__(self, paths: list[Path], batch_size: int) -> None:
        self._paths: Iterator[Path] = iter(paths)
        self._left, self._batch_size, self._counted = len(paths), batch_size, 0
        self._lock = threading.Lock()

    def next(self) -> Path | None:
        with self._lock:
            return next(self._paths, None)

    def done(self) -> None:
        with self._lock:
            self._counted, self._left = self._counted + 1, self._left - 1
            if self._counted == self._batch_size or not self._left:
                batch_done(self._counted)
                self._counted = 0


def decode_and_resize(data: bytes) -> npt.NDArray[np.uint8]:
    """`[224, 224, 3]`: libjpeg-turbo, then torch's antialiased uint8 resize, then the centre."""
    pixels_hwc = simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False)
    height, width = pixels_hwc.shape[:2]
    scale = SHORT_EDGE / min(height, width)
    size = int(height * scale), int(width * scale)
    image_1chw = torch.from_numpy(pixels_hwc)[None].permute(0, 3, 1, 2)
    resized_1chw = torch.nn.functional.interpolate(image_1chw, size, mode="bilinear", antialias=True)
    top, left = (size[0] - CROP) // 2, (size[1] - CROP) // 2
    return resized_1chw[0, :, top : top + CROP, left : left + CROP].permute(1, 2, 0).numpy()


def main(options: Options) -> None:
    tally = Tally(sorted(options.images.glob("*.jpg")), options.batch_size)
    threads = [threading.Thread(target=_work, args=[tally]) for _ in range(cores())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _work(tally: Tally) -> None:
    torch.set_num_threads(1)
    while path := tally.next():
        decode_and_resize(path.read_bytes())
        tally.done()


if __name__ == "__main__":
    main(parse(__doc__))
