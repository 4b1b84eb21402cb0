"""The decode stage: a chunk of rows in, tables of pixels out. Runs in an engine's decode tasks; knows no model.

What images take until their pixels are in a table is bounded by one budget for the process: `pixel_budget`.
A crop is an image of its own from here on. Neighbouring crops of one image are cut from it while it is decoded once,
where the recipe fixes a size; where it does not, blocks keep crops as they are, and each decodes for itself.

The decoded table has `shard, row, error, width, height` (of the original, the way up that it is read), `image_notes`,
the timing column, and `image`: raw RGB bytes. Where the recipe fixes a size, the image column's data is one
[N, h, w, 3] array and a failed row's pixels are zero; where it does not, `image_height` and `image_width` say each
row's own, and a failed row is empty. Where `source.decode` is `scaled`, `exact_image` has the pixels of an exact decode
of one image in two hundred, for the predict stage to compare labels.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial

import pyarrow as pa

from job.errors import ImageError
from job.plan.chunks import Chunk
from job.plan.manifest import Manifest
from job.recipe import Orientation, Recipe
from job.sources.open_source import Source, open_source
from job.spec.columns import CROP, READ, SCALED
from job.spec.limits import Limits
from job.spec.spec import SourceSpec
from job.stages.crash_markers import mark_chunk
from job.stages.decoded import Block, FixedBlock, VariableBlock
from job.stages.images import DecodedImage, Reading, read_image
from job.stages.pictures import Picture, PicturesLeft, pictures_of
from job.stages.pixel_budget import Hold, NoRoomError, PixelBudget, Reserve, process_budget
from job.stages.prepared import prepare_exactly, prepare_jpeg
from job.stages.sandbox import Sandbox

# The orientation is that of a picture whose crops say it, instead of the stage's own.
Decoder = Callable[[bytes, Reserve, Orientation | None], DecodedImage]
ORIENTATIONS: Sequence[Orientation] = ("apply", "keep", "Pillow")


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
        pictures = pictures_of(rows, _source(self.source, self.limits).read, share=self.recipe.size is not None)
        wanted = Reading.of(self.source, self.recipe, self.limits)
        reading = Reading(self.limits) if self.reads_as_pillow else wanted
        with mark_chunk(self.manifest.paths.run_id, chunk) as died_here:
            if not died_here:
                # A crop is cut from the whole picture.
                recipe = None if CROP[0] in rows.column_names else self.recipe
                yield from self._tables(rows, pictures, partial(_read_here, reading, recipe), reading, chunk.start)
                return
            with ExitStack() as stack:
                # One is no process before it is used.
                sandboxes = {way: stack.enter_context(Sandbox(reading.turned(way))) for way in (None, *ORIENTATIONS)}
                yield from self._tables(rows, pictures, partial(_read_apart, sandboxes), reading)

    def _tables(
        self,
        rows: pa.Table,
        pictures: Iterator[Picture],
        decoder: Decoder,
        reading: Reading | None = None,
        first_row: int = 0,
    ) -> Iterator[pa.Table]:
        left = PicturesLeft(rows.num_rows, pictures)
        while left:
            capacity = min(self.block_images, len(left))
            block = FixedBlock(capacity, self.recipe.size) if self.recipe.size else VariableBlock(capacity)
            block.exact = {} if reading and reading.scales else None
            try:
                self._fill(
                    _Filling(block, left, decoder, self.recipe, process_budget(self.memory_share), reading, first_row)
                )
                yield from block.tables(rows)
            finally:
                block.release()

    def _fill(self, filling: "_Filling") -> None:
        """Several threads, each taking the next image until the block is full: no queue, no future an image."""
        for thread in [_pool(self.threads).submit(filling.take_and_decode) for _ in range(self.threads)]:
            thread.result()


@dataclass
class _Filling:
    """A block, and what the threads that fill it share."""

    block: Block
    left: PicturesLeft
    decoder: Decoder
    recipe: Recipe
    budget: PixelBudget
    reading: Reading | None = None
    first_row: int = 0  # the shard's, of the chunk's first

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def take_and_decode(self) -> None:
        """One thread's part. Seconds are counted by what they go to; a read that fails took all the time there was."""
        read_s = decode_s = 0.0
        while True:
            started = time.perf_counter()
            with self._lock:
                picture = None if self.block.is_full else self.left.take()
                if picture is None:
                    self.block.read_s += read_s
                    self.block.decode_s += decode_s
                    return
                index = self.block.take(picture.rows.popleft())
            read = None
            try:
                data = picture.read()
                read = time.perf_counter()
                self._decode(index, picture, data)
                picture.keep(data)
            except ImageError as error:
                picture.keep_error(error)
                for failed in itertools.chain([index], self._others(picture)):
                    self.block.fail(failed, error)
            except NoRoomError:
                with self._lock:
                    picture.keep(data)
                    picture.rows.appendleft(self.block.skip(index))
            if picture.rows:
                with self._lock:
                    self.left.put_back(picture)
            done = time.perf_counter()
            read = read or done
            read_s += read - started
            decode_s += done - read

    def _others(self, picture: Picture) -> Iterator[int]:
        """Places for the other rows of a picture, as long as there are some."""
        while True:
            with self._lock:
                if self.block.is_full or not picture.rows:
                    return
                index = self.block.take(picture.rows.popleft())
            yield index

    def _decode(self, index: int, picture: Picture, data: bytes) -> None:
        """Raises ImageError of all of the picture, and NoRoomError where the block has to be emptied first."""
        hold = self.budget.hold()
        is_first: list[bool] = []
        copied_bytes = picture.copied_bytes([self.block.rows[index], *picture.rows])

        def reserve(needed: int) -> None:
            # Rows of a block that is not full yet hold memory until it is. Only one that waits for none of them may
            # wait; others come into the next block.
            if not is_first:
                with self._lock:
                    is_first.append(self.block.admit())
            hold.reserve(needed + copied_bytes, waits=is_first[0])

        try:
            image = self.decoder(data, reserve, picture.orientation)
            if self.reading and self.block.exact is not None and SCALED in image.notes and self._is_sampled(index):
                self.block.exact[index] = prepare_exactly(data, self.reading, self.recipe, reserve)
            if not picture.rows:
                self._put(index, picture, image, hold)
                return
            for place in itertools.chain([index], self._others(picture)):
                try:
                    self._put(place, picture, image, self.budget.hold())  # the picture's is held until the last
                except ImageError as error:
                    self.block.fail(place, error)
            hold.release()
        except BaseException:
            hold.release()
            raise

    def _is_sampled(self, index: int) -> bool:
        """Ten in a row of each two thousand, so that few batches hold the model up with the exact ones."""
        return (self.first_row + self.block.rows[index]) % 2000 < 10

    def _put(self, index: int, picture: Picture, image: DecodedImage, hold: Hold) -> None:
        if image.original:
            self.block.put(index, image.original, image.pixels, image.notes, hold)
            return
        pixels = picture.cut(self.block.rows[index], image.pixels)
        self.block.put(index, pixels.shape[:2], self.recipe.apply(pixels), image.notes, hold)


def _read_here(
    reading: Reading, recipe: Recipe | None, data: bytes, reserve: Reserve, orientation: Orientation | None
) -> DecodedImage:
    prepared = prepare_jpeg(data, reading, recipe, reserve) if recipe else None
    return prepared or read_image(data, reading.turned(orientation), reserve)


def _read_apart(
    sandboxes: Mapping[Orientation | None, Sandbox], data: bytes, reserve: Reserve, orientation: Orientation | None
) -> DecodedImage:
    return sandboxes[orientation].decode(data, reserve)


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
