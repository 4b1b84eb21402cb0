"""How many images at once a device has memory for, found by running out of it: half as many then, more again later.

What else is on a GPU changes, and large images come in heaps; a run that has gone on for hours is not to end for one
batch. Answers do not depend on it: an image is predicted by itself, whatever shares its batch.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PATIENCE = 16  # calls without trouble before a larger batch is tried; twice as many each time that fails


class BatchLimit:
    """Of one replica. `ran_out` counts how often memory was not enough."""

    def __init__(self, device: str) -> None:
        self.ran_out = 0
        self._device = device
        self._images: int | None = None
        self._calls_left = self._patience = FIRST_PATIENCE
        self._has_grown = False

    def images(self, asked: int) -> int:
        """How many of `asked` are taken at once for now."""
        return asked if self._images is None else min(asked, self._images)

    def run(self, images: int, call: Callable[[int, int], T]) -> list[T]:
        """What `call(start, stop)` gives for each part of so many images, in order.

        Raises torch.OutOfMemoryError where a single image needs more than there is.
        """
        results: list[T] = []
        start = 0
        while start < images:
            stop = start + self.images(images - start)
            result = self._try(call, start, stop)
            if result is not None:
                results.append(result)
                start = stop
                self._grow(images)
                continue
            # Outside of the handler, whose traceback would hold the memory of what failed.
            if stop - start == 1:
                _release(self._device)
                results.append(call(start, stop))
                start = stop
                continue
            self._halve(stop - start)
        return results

    def _try(self, call: Callable[[int, int], T], start: int, stop: int) -> T | None:
        try:
            return call(start, stop)
        except torch.OutOfMemoryError as error:
            self.ran_out += 1
            log.warning(
                "%s ran out of memory at a batch of %d images: %s", self._device, stop - start, _first_line(error)
            )
            return None

    def _halve(self, images: int) -> None:
        if self._has_grown:
            self._patience, self._has_grown = 2 * self._patience, False
        self._images, self._calls_left = images // 2, self._patience
        _release(self._device)

    def _grow(self, asked: int) -> None:
        if self._images is None or self._images >= asked:
            return
        self._calls_left -= 1
        if self._calls_left <= 0:
            self._images, self._calls_left, self._has_grown = 2 * self._images, self._patience, True
            log.info("%s takes batches of %d images again", self._device, min(asked, self._images))


def _release(device: str) -> None:
    """What the allocator keeps in pieces that fit nothing."""
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
