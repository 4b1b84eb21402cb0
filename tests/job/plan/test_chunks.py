"""Chunks: every row of every open shard once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.plan.chunks import cut
from job.plan.records import Plan


def make_plan(images, rows_per_file):
    return Plan(
        run_id="r", fingerprint="f", spec={}, images=images, bytes=0, shards=-(-images // rows_per_file),
        rows_per_file=rows_per_file, parts=(), versions={}, created="",
    )  # fmt: skip


@given(
    images=st.integers(0, 500), rows_per_file=st.integers(1, 60), batch_size=st.integers(1, 40),
    slots=st.integers(1, 9), committed=st.sets(st.integers(0, 20)),
)  # fmt: skip
def test_chunks_cover_the_open_shards_exactly(images, rows_per_file, batch_size, slots, committed):
    plan = make_plan(images, rows_per_file)
    open_shards = [shard for shard in range(plan.shards) if shard not in committed]
    chunks = cut(plan, open_shards, batch_size, slots)
    covered = [(c.shard, row) for c in (chunks[i] for i in range(len(chunks))) for row in range(c.start, c.stop)]
    assert covered == [(shard, row) for shard in open_shards for row in range(plan.shard_rows(shard))]
    assert all(chunks[number].start < chunks[number].stop for number in range(len(chunks)))
    for outside in (-1, len(chunks)):
        with pytest.raises(IndexError):
            chunks[outside]


def test_chunks_are_about_a_thousand_images_in_whole_batches():
    plan = make_plan(1_000_000, 10_000)
    assert cut(plan, range(100), 256, 2).chunk_images == 768
    assert cut(plan, range(100), 4, 2).chunk_images == 1000
    assert cut(plan, range(100), 1024, 2).chunk_images == 1024


def test_chunks_of_a_small_run_are_small_enough_for_every_slot():
    chunks = cut(make_plan(2_000, 10_000), [0], 64, 4)
    assert len(chunks) >= 16


def test_a_hundred_million_images_are_no_list():
    plan = make_plan(100_000_000, 10_000)
    chunks = cut(plan, range(plan.shards), 256, 1600)
    assert len(chunks) == 14 * 10_000
    assert (chunks[len(chunks) - 1].shard, chunks[len(chunks) - 1].stop) == (9_999, 10_000)
