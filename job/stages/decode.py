"""The decode stage: a chunk of rows in, tables of pixels out. Runs in an engine's decode tasks; knows no model.

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
from job.stages.sandbox import Sandbox

Decoder = Callable[[bytes], DecodedImage]
Handles = Iterator[Callable[[], bytes]]


@dataclass(frozen=True)
class DecodeStage:
    """Decodes chunks with `threads` threads, into tables of at most `block_images` rows. Travels to every worker."""

    manifest: Manifest
    source: SourceSpec
    limits: Limits
    recipe: Recipe
    threads: int
    block_images: int
    reads_as_pillow: bool = False  # whatever the source and the recipe say

    def __call__(self, chunk: Chunk) -> Iterator[pa.Table]:
        rows = self.manifest.rows(chunk.shard, READ).slice(chunk.start, chunk.stop - chunk.start)
        handles = _source(self.source, self.limits).read(rows)
        wanted = Reading.of(self.source, self.recipe, self.limits)
        reading = Reading(self.limits) if self.reads_as_pillow else wanted
        with mark_chunk(self.manifest.paths.run_id, chunk) as died_here:
            if not died_here:
                yield from self._tables(rows, handles, lambda data: read_image(data, reading))
                return
            with Sandbox(reading) as sandbox:
                yield from self._tables(rows, handles, sandbox.decode)

    def _tables(self, rows: pa.Table, handles: Handles, decoder: Decoder) -> Iterator[pa.Table]:
        start = 0
        while start < rows.num_rows:
            capacity = min(self.block_images, rows.num_rows - start)
            block = FixedBlock(capacity, self.recipe.size) if self.recipe.size else VariableBlock(capacity)
            self._fill(block, handles, decoder)
            yield block.table(rows.slice(start, block.taken))
            start += block.taken

    def _fill(self, block: Block, handles: Handles, decoder: Decoder) -> None:
        """Several threads, each taking the next image until the block is full: no queue, no future an image."""
        lock = threading.Lock()
        work = [
            _pool(self.threads).submit(_take_and_decode, block, handles, decoder, self.recipe, lock)
            for _ in range(self.threads)
        ]
        for thread in work:
            thread.result()


def _take_and_decode(block: Block, handles: Handles, decoder: Decoder, recipe: Recipe, lock: threading.Lock) -> None:
    read_s = decode_s = 0.0
    while True:
        started = time.perf_counter()
        with lock:
            handle = None if block.is_full else next(handles, None)
            if handle is None:
                block.read_s += read_s
                block.decode_s += decode_s
                return
            index = block.take()
        read = None
        try:
            data = handle()
            read = time.perf_counter()
            image = decoder(data)
            block.put(index, image.pixels.shape[:2], recipe.apply(image.pixels), image.notes)
        except ImageError as error:
            block.fail(index, error)
        done = time.perf_counter()
        read = read or done  # a read that failed took all the time there was
        read_s += read - started
        decode_s += done - read


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
