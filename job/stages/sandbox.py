"""Decoding in a process of its own, for chunks that killed one: the image that does it again becomes a row.

`Sandbox` is used by the decode stage; the module run as a program is its other end. It speaks over two pipes:
a length and the image's bytes in, a verdict and the pixels out.
"""

import json
import struct
import subprocess
import sys
import threading
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

from job.errors import ImageError
from job.spec.limits import Limits
from job.stages.images import decode

REQUEST = struct.Struct("<Q")
ANSWER = struct.Struct("<?QQ")  # decoded, height or bytes of text, width


class Sandbox:
    """Decodes as `job.stages.images.decode` does, one image at a time, and survives what that does not."""

    def __init__(self, limits: Limits) -> None:
        self._command = [sys.executable, "-m", "job.stages.sandbox", str(limits.max_pixels), str(limits.max_bytes)]
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def decode(self, data: bytes) -> npt.NDArray[np.uint8]:
        """[H, W, 3]. Raises ImageError, of kind `crashed` where the process died of it."""
        with self._lock:
            process = self._process or subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._process = process
            try:
                return _ask(process, data)
            except (EOFError, BrokenPipeError):
                self._process = None
                raise ImageError("crashed", f"decoding it killed a process ({_cause(process.wait())})") from None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()


def _ask(process: "subprocess.Popen[bytes]", data: bytes) -> npt.NDArray[np.uint8]:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(REQUEST.pack(len(data)) + data)
    process.stdin.flush()
    decoded, height, width = ANSWER.unpack(_read(process.stdout, ANSWER.size))
    if not decoded:
        raise ImageError(*json.loads(_read(process.stdout, height)))
    pixels = _read(process.stdout, height * width * 3)
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _cause(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def serve(requests: IO[bytes], answers: IO[bytes], limits: Limits) -> None:
    """Answers until the pipe is closed."""
    while header := requests.read(REQUEST.size):
        (size,) = REQUEST.unpack(header)
        try:
            image = decode(_read(requests, size), limits)
        except ImageError as error:
            text = json.dumps([error.kind, str(error).removeprefix(f"{error.kind}: ")]).encode()
            answers.write(ANSWER.pack(False, len(text), 0) + text)
        else:
            answers.write(ANSWER.pack(True, *image.shape[:2]) + image.tobytes())
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, Limits(max_pixels=int(sys.argv[1]), max_bytes=int(sys.argv[2])))
