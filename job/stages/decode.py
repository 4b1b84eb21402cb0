"""The decode stage: a chunk of rows in, tables of pixels out. Runs in an engine's decode tasks; knows no model.

What images take until their pixels are in a table is bounded by one budget for the process: `pixel_budget`.

The decoded table has `shard, row, error, width, height` (of the original, the way up that it is read), `image_notes`,
the timing column, and `image`: raw RGB bytes. Where the recipe fixes a size, the image column's data is one
[N, h, w, 3] array and a failed row's pixels are zero; where it does not, `image_height` and `image_width` say each
row's own, and a failed row is empty.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from job.errors import ImageError
from job.plan.chunks import Chunk
from job.plan.manifest import Manifest
from job.recipe import Recipe
from job.sources.open_source import Source, open_source
from job.spec.columns import READ
from job.spec.limits import Limits
from job.spec.spec import SourceSpec
from job.stages.crash_markers import mark_chunk
from job.stages.decoded import Block, FixedBlock, VariableBlock
from job.stages.images import DecodedImage, Reading, read_image
from job.stages.pixel_budget import NoRoomError, PixelBudget, Reserve, process_budget
from job.stages.sandbox import Sandbox

Decoder = Callable[[bytes, Reserve], DecodedImage]
Handle = Callable[[], bytes]


@dataclass(frozen=True)
class DecodeStage:
    """Decodes chunks with `threads` threads, into tables of at most `block_images` rows. Travels to every worker.

    `memory_share` is this process's share of the memory for pixels, among those of its machine that decode.
    """

    manifest: Manifest
    source: SourceSpec
    limits: Limits
    recipe: Recipe
    threads: int
    block_images: int
    reads_as_pillow: bool = False  # whatever the source and the recipe say
    memory_share: float = 1.0

    def __call__(self, chunk: Chunk) -> Iterator[pa.Table]:
        rows = self.manifest.rows(chunk.shard, READ).slice(chunk.start, chunk.stop - chunk.start)
        handles = _source(self.source, self.limits).read(rows)
        wanted = Reading.of(self.source, self.recipe, self.limits)
        reading = Reading(self.limits) if self.reads_as_pillow else wanted
        with mark_chunk(self.manifest.paths.run_id, chunk) as died_here:
            if not died_here:
                yield from self._tables(rows, handles, lambda data, reserve: read_image(data, reading, reserve))
                return
            with Sandbox(reading) as sandbox:
                yield from self._tables(rows, handles, sandbox.decode)

    def _tables(self, rows: pa.Table, handles: Iterator[Handle], decoder: Decoder) -> Iterator[pa.Table]:
        left = _RowsLeft(rows.num_rows, handles)
        while left:
            capacity = min(self.block_images, len(left))
            block = FixedBlock(capacity, self.recipe.size) if self.recipe.size else VariableBlock(capacity)
            try:
                self._fill(_Filling(block, left, decoder, self.recipe, process_budget(self.memory_share)))
                yield from block.tables(rows)
            finally:
                block.release()

    def _fill(self, filling: "_Filling") -> None:
        """Several threads, each taking the next image until the block is full: no queue, no future an image."""
        for thread in [_pool(self.threads).submit(filling.take_and_decode) for _ in range(self.threads)]:
            thread.result()


class _RowsLeft:
    """The rows of a chunk that no block has: those that were put back, and then the next. Used under a lock."""

    def __init__(self, count: int, handles: Iterator[Handle]) -> None:
        self._next = iter(zip(range(count), handles, strict=False))
        self._put_back: dict[int, Handle] = {}
        self._left = count

    def __len__(self) -> int:
        return self._left

    def take(self) -> tuple[int, Handle] | None:
        if self._put_back:
            row = min(self._put_back)
            found: tuple[int, Handle] | None = (row, self._put_back.pop(row))
        else:
            found = next(self._next, None)
        self._left -= found is not None
        return found

    def put_back(self, row: int, data: bytes) -> None:
        self._put_back[row] = lambda: data
        self._left += 1


@dataclass
class _Filling:
    """A block, and what the threads that fill it share."""

    block: Block
    left: _RowsLeft
    decoder: Decoder
    recipe: Recipe
    budget: PixelBudget

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def take_and_decode(self) -> None:
        """One thread's part. Seconds are counted by what they go to; a read that fails took all the time there was."""
        read_s = decode_s = 0.0
        while True:
            started = time.perf_counter()
            with self._lock:
                taken = None if self.block.is_full else self.left.take()
                if taken is None:
                    self.block.read_s += read_s
                    self.block.decode_s += decode_s
                    return
                index = self.block.take(taken[0])
            read = None
            try:
                data = taken[1]()
                read = time.perf_counter()
                self._decode(index, data)
            except ImageError as error:
                self.block.fail(index, error)
            except NoRoomError:
                with self._lock:
                    self.left.put_back(self.block.skip(index), data)
            done = time.perf_counter()
            read = read or done
            read_s += read - started
            decode_s += done - read

    def _decode(self, index: int, data: bytes) -> None:
        """Raises ImageError, and NoRoomError where the block has to be emptied first."""
        hold = self.budget.hold()
        is_first: list[bool] = []

        def reserve(needed: int) -> None:
            # Rows of a block that is not full yet hold memory until it is. Only one that waits for none of them may
            # wait; others come into the next block.
            if not is_first:
                with self._lock:
                    is_first.append(self.block.admit())
            hold.reserve(needed, waits=is_first[0])

        try:
            image = self.decoder(data, reserve)
            self.block.put(index, image.pixels.shape[:2], self.recipe.apply(image.pixels), image.notes, hold)
        except BaseException:
            hold.release()
            raise


@lru_cache(maxsize=4)
def _source(spec: SourceSpec, limits: Limits) -> Source:
    return open_source(spec, limits)


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "decode", initializer=_keep_torch_to_one_thread)


def _keep_torch_to_one_thread() -> None:
    """The stage's own threads are the parallelism; torch's would fight them for the cores."""
    import torch

    torch.set_num_threads(1)
