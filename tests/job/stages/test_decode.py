"""The decode stage: every row of a chunk once and in order, a bad image as a row, whatever the threads and blocks."""

import time
from collections import deque
from dataclasses import replace
from functools import cache
from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from run_specs import make_spec

from job.errors import ImageError
from job.plan.chunks import Chunk
from job.plan.freeze import freeze
from job.plan.manifest import Manifest
from job.plan.plan import run_paths
from job.recipe import Exactly, Recipe, Within
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.stages import decoded, timing
from job.stages.decode import DecodeStage, _Filling
from job.stages.decoded import FixedBlock, all_pixels
from job.stages.images import DecodedImage, Reading, decode, read_image
from job.stages.pictures import Picture, PicturesLeft
from job.stages.pixel_budget import PixelBudget
from job.stores.storage import open_folder

RECIPES = {"fixed": Recipe(Exactly(6, 9)), "variable": Recipe(Within(20, 20))}
IMAGES, ROWS_PER_FILE = 37, 25
BAD = {0: b"", 3: b"", 4: b"no image", 12: b"\x89PNG\r\n\x1a\n", 24: b"GIF89a", 25: b"\xff\xd8\xff", 36: b""}
GONE, THIN = 5, 7  # within 20x20 the thin one would be less than a pixel wide


def make_png(height, width, seed):
    buffer = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class Run:
    """A frozen run of two shards over real files, one of them gone since."""

    def __init__(self, folder, images=None):
        self.folder = folder / "images"
        self.folder.mkdir()
        self.data = [make_png(10 + number, 40 - number, number) for number in range(IMAGES)]
        for number, data in {**BAD, THIN: make_png(200, 1, THIN), **(images or {})}.items():
            self.data[number] = data
        for number, data in enumerate(self.data):
            self.path(number).write_bytes(data)
        spec = make_spec(folder, rows_per_file=ROWS_PER_FILE)
        paths, self.limits, self.source = run_paths(spec), Limits.of(spec.errors), spec.source
        plan = freeze(spec, paths, open_folder(paths.uri), open_source(self.source, self.limits).list())
        self.manifest = Manifest(paths, plan.parts)
        self.path(GONE).unlink()

    def path(self, number):
        return self.folder / f"{number:02}.png"

    def stage(self, kind, threads=2, block_images=8):
        return DecodeStage(self.manifest, self.source, self.limits, RECIPES[kind], threads, block_images)

    @cache  # noqa: B019 - one run a module
    def expected(self, number, recipe):
        """Kind of error, original height and width, pixels."""
        try:
            if number == GONE:
                raise ImageError("missing", "there is no such object")
            image = decode(self.data[number], self.limits)
            return None, *image.shape[:2], recipe.apply(image)
        except ImageError as error:
            return error.kind, None, None, np.zeros((*(recipe.size or (0, 0)), 3), np.uint8)


class Clock:
    now = 1000.0

    def perf_counter(self):
        return self.now


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("run"))


def rows_of(tables, recipe):
    """Shard, row, kind of error, height, width and pixels of each row."""
    for table in tables:
        (batch,) = table.combine_chunks().to_batches()
        for row, pixels in zip(table.drop_columns(["image"]).to_pylist(), all_pixels(batch, recipe.size), strict=True):
            kind = row["error"] and row["error"].partition(":")[0]
            yield row["shard"], row["row"], kind, row["height"], row["width"], pixels


def without_timing(tables):
    return pa.concat_tables([timing.detach(table)[0] for table in tables])


@settings(max_examples=30)
@given(
    bounds=st.lists(st.integers(0, IMAGES), min_size=2, max_size=2, unique=True),
    kind=st.sampled_from(sorted(RECIPES)),
    threads=st.integers(1, 4),
    block_images=st.integers(1, 12),
)
def test_every_row_of_a_chunk_comes_once_and_in_order(run, bounds, kind, threads, block_images):
    start, stop = sorted(bounds)
    shard = start // ROWS_PER_FILE
    first = shard * ROWS_PER_FILE
    stop = min(stop, first + ROWS_PER_FILE)
    stage = run.stage(kind, threads, block_images)
    tables = list(stage(Chunk(shard, start - first, stop - first)))
    found = list(rows_of(tables, stage.recipe))
    assert [row[:2] for row in found] == [(shard, number - first) for number in range(start, stop)]
    for number, row in zip(range(start, stop), found, strict=True):
        *said, pixels = run.expected(number, stage.recipe)
        assert list(row[2:5]) == said
        assert np.array_equal(row[5], pixels)
    whole, rest = divmod(stop - start, block_images)
    assert [len(table) for table in tables] == [block_images] * whole + [rest] * (rest > 0)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_block_of_images_of_their_own_sizes_ends_when_it_is_heavy_enough(run, monkeypatch, threads):
    monkeypatch.setattr(decoded, "VARIABLE_BYTES", 3000)
    stage = run.stage("variable", threads, block_images=100)
    tables = list(stage(Chunk(0, 0, ROWS_PER_FILE)))
    assert [row[1] for row in rows_of(tables, stage.recipe)] == list(range(ROWS_PER_FILE))
    assert len(tables) > 1
    for table in tables[:-1]:
        bytes_each = sorted(len(image.as_buffer()) for image in table["image"])
        assert 3000 <= sum(bytes_each) <= 6000
        # The image that made it full, and those that the other threads were at.
        assert sum(bytes_each[:-threads]) < 3000


@pytest.mark.parametrize("kind", sorted(RECIPES))
@pytest.mark.parametrize("total", [1, 6000, 20_000])
def test_threads_wait_for_room_and_every_row_comes_once(run, monkeypatch, kind, total):
    """A budget of one byte lets every image through, alone."""
    budget = PixelBudget(total)
    monkeypatch.setattr("job.stages.decode.process_budget", lambda share: budget)
    held = []

    def spy(data, reading, reserve):
        def reserve_and_look(needed):
            reserve(needed)
            held.append(budget.held)

        return read_image(data, reading, reserve_and_look)

    monkeypatch.setattr("job.stages.decode.read_image", spy)
    stage = run.stage(kind, threads=4, block_images=100)
    found = sorted(rows_of(stage(Chunk(0, 0, ROWS_PER_FILE)), stage.recipe), key=lambda row: row[1])
    assert [row[1] for row in found] == list(range(ROWS_PER_FILE))
    for row in found:
        *said, pixels = run.expected(row[1], stage.recipe)
        assert list(row[2:5]) == said
        assert np.array_equal(row[5], pixels)
    assert max(held) <= total
    assert budget.held == 0


def test_a_row_that_finds_no_room_comes_into_the_next_block(run, monkeypatch):
    monkeypatch.setattr("job.stages.decode.process_budget", lambda share: PixelBudget(1))
    stage = run.stage("variable", threads=4, block_images=100)
    tables = list(stage(Chunk(0, 8, 12)))
    assert [len(table) for table in tables] == [1, 1, 1, 1]


def test_what_a_stopped_chunk_holds_is_given_back(run, monkeypatch):
    budget = PixelBudget(1 << 20)
    monkeypatch.setattr("job.stages.decode.process_budget", lambda share: budget)
    monkeypatch.setattr(decoded, "VARIABLE_BYTES", 600)
    tables = run.stage("variable", threads=4, block_images=100)(Chunk(0, 8, 24))
    next(tables)
    tables.close()
    assert budget.held == 0


def test_each_block_has_its_figures(run):
    began = time.perf_counter()
    tables = list(run.stage("fixed", threads=2, block_images=10)(Chunk(0, 0, ROWS_PER_FILE)))
    passed_s = time.perf_counter() - began
    figures = [timing.detach(table)[1] for table in tables]
    assert [len(of_block) for of_block in figures] == [1, 1, 1]
    assert all(set(each) == {"read_s", "decode_s"} for (each,) in figures)
    assert 0 < sum(each["read_s"] + each["decode_s"] for (each,) in figures) <= 2 * passed_s + 0.001


@pytest.mark.parametrize(("bad", "decoded_s"), [(None, 10), ("truncated", 10), ("missing", 0)])
def test_time_is_of_reading_until_the_bytes_are_there_and_then_of_decoding(monkeypatch, bad, decoded_s):
    clock = Clock()
    monkeypatch.setattr("job.stages.decode.time", clock)

    def read():
        clock.now += 5
        if bad == "missing":
            raise ImageError("missing", "it took long to find that out")
        return b""

    def decode_slowly(data, reserve, orientation):
        clock.now += 2
        if bad:
            raise ImageError("truncated", "half of it")
        return DecodedImage(np.zeros((5, 5, 3), np.uint8))

    block = FixedBlock(5, (6, 9))
    for images in (3, 2):  # of two threads, one after the other
        left = PicturesLeft(images, (Picture(read, deque([row])) for row in range(images)))
        _Filling(block, left, decode_slowly, RECIPES["fixed"], PixelBudget(1000)).take_and_decode()
    assert (block.read_s, block.decode_s) == (25, decoded_s)


def test_a_chunk_that_a_process_died_at_is_decoded_in_another_process(die_at_chunk, tmp_path, deadly_images):
    run = Run(tmp_path, {9: deadly_images})  # deadly for the processes that start from here on
    stage, chunk = run.stage("fixed"), Chunk(0, 2, 20)
    before = without_timing(stage(chunk))
    assert before["error"][7].as_py() is None
    die_at_chunk(run.manifest.paths.run_id, 0, 0, 25)
    after = without_timing(stage(chunk))
    assert after["error"][7].as_py() == "crashed: decoding it killed a process (signal 11)"
    assert pa.concat_tables([after[:7], after[8:]]).equals(pa.concat_tables([before[:7], before[8:]]))
    assert without_timing(stage(chunk)).equals(before)


@pytest.mark.parametrize("threads", [1, 4])
def test_what_is_no_fault_of_an_image_ends_the_chunk(run, threads):
    def break_down():
        raise OSError("the disk is on fire")

    handles = [lambda: run.data[1]] * 5 + [break_down] + [lambda: run.data[2]] * 5
    pictures = (Picture(handle, deque([row])) for row, handle in enumerate(handles))
    rows = run.manifest.rows(0, ["shard", "row"]).slice(0, 11)
    tables = run.stage("fixed", threads)._tables(rows, pictures, lambda data, *_: read_image(data, Reading(run.limits)))
    with pytest.raises(OSError, match="on fire"):
        list(tables)


WISHES = {"apply": ("orientation-applied", (30, 10)), "keep": ("orientation-kept", (10, 30))}


@pytest.mark.parametrize("kind", sorted(RECIPES))
@pytest.mark.parametrize("crashed", [False, True])
def test_how_an_image_was_read_stands_beside_it(tmp_path, kind, crashed, die_at_chunk):
    """Turned by the recipe's wish, sized as it is then; also in a process of its own."""
    images = {}
    for number, value in ((1, 6), (2, 1)):
        exif, buffer = Image.Exif(), BytesIO()
        exif[0x0112] = value
        Image.fromarray(np.zeros((10, 30, 3), np.uint8)).save(buffer, "JPEG", exif=exif)
        images[number] = buffer.getvalue()
    run = Run(tmp_path, images)
    stages = {wish: replace(run.stage(kind), recipe=replace(RECIPES[kind], orientation=wish)) for wish in WISHES}
    for wish, (note, size) in WISHES.items():
        if crashed:
            die_at_chunk(run.manifest.paths.run_id, 0, 0, 25)
        (table,) = stages[wish](Chunk(0, 1, 3))
        assert table["image_notes"].to_pylist() == [[note], None]
        assert (table["height"][0].as_py(), table["width"][0].as_py()) == size
