"""Decoding in a process of its own, for chunks that killed one: the image that does it again becomes a row.

`Sandbox` is used by the decode stage; the module run as a program is its other end. It speaks over two pipes:
a length and the image's bytes in, then what it takes to decode them out, any byte in when there is room, a verdict, the
notes and the pixels out.
"""

import dataclasses
import json
import struct
import subprocess
import sys
import threading
from types import TracebackType
from typing import IO

import numpy as np

from job.errors import ImageError
from job.spec.limits import Limits
from job.stages.images import DecodedImage, Reading, read_image
from job.stages.pixel_budget import NoRoomError, Reserve, reserve_nothing

REQUEST = struct.Struct("<Q")
ANSWER = struct.Struct("<BQQQ")  # one of the below, bytes of JSON (the notes, or the error), height, width
FAILED, DECODED, NEEDS = 0, 1, 2  # the last with bytes of memory in place of bytes of JSON
GO_ON = b"."


class Sandbox:
    """Reads as `job.stages.images.read_image` does, one image at a time, and survives what that does not."""

    def __init__(self, reading: Reading) -> None:
        self._command = [sys.executable, "-m", "job.stages.sandbox", json.dumps(dataclasses.asdict(reading))]
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def decode(self, data: bytes, reserve: Reserve = reserve_nothing) -> DecodedImage:
        """Raises ImageError, of kind `crashed` where the process died of it, and what `reserve` raises."""
        with self._lock:
            process = self._process or subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._process = process
            try:
                return _ask(process, data, reserve)
            except (EOFError, BrokenPipeError):
                self._process = None
                raise ImageError("crashed", f"decoding it killed a process ({_cause(process.wait())})") from None
            except NoRoomError:  # it waits in vain now
                self._process = None
                process.kill()
                process.communicate()
                raise

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()


def _ask(process: "subprocess.Popen[bytes]", data: bytes, reserve: Reserve) -> DecodedImage:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(REQUEST.pack(len(data)) + data)
    process.stdin.flush()
    verdict, count, height, width = ANSWER.unpack(_read(process.stdout, ANSWER.size))
    while verdict == NEEDS:
        reserve(count)
        process.stdin.write(GO_ON)
        process.stdin.flush()
        verdict, count, height, width = ANSWER.unpack(_read(process.stdout, ANSWER.size))
    said = json.loads(_read(process.stdout, count))
    if verdict == FAILED:
        raise ImageError(*said)
    pixels = _read(process.stdout, height * width * 3)
    return DecodedImage(np.frombuffer(pixels, np.uint8).reshape(height, width, 3), tuple(said))


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _cause(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def serve(requests: IO[bytes], answers: IO[bytes], reading: Reading) -> None:
    """Answers until the pipe is closed."""

    def reserve(needed: int) -> None:
        answers.write(ANSWER.pack(NEEDS, 2 * needed, 0, 0))  # the picture is in both processes
        answers.flush()
        _read(requests, len(GO_ON))

    while header := requests.read(REQUEST.size):
        (size,) = REQUEST.unpack(header)
        try:
            pixels, notes, _ = read_image(_read(requests, size), reading, reserve)
        except ImageError as error:
            text = json.dumps([error.kind, str(error).removeprefix(f"{error.kind}: ")]).encode()
            answers.write(ANSWER.pack(FAILED, len(text), 0, 0) + text)
        else:
            text = json.dumps(notes).encode()
            answers.write(ANSWER.pack(DECODED, len(text), *pixels.shape[:2]) + text)
            answers.write(pixels.data)
        answers.flush()


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    serve(sys.stdin.buffer, sys.stdout.buffer, Reading(**{**wanted, "limits": Limits(**wanted["limits"])}))
