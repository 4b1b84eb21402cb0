"""Crash markers: a chunk that a process died at is known, one that is being worked at is not mistaken for it."""

import os
import tempfile

import pytest

from job.plan.chunks import Chunk
from job.stages.crash_markers import mark_chunk


@pytest.fixture(autouse=True)
def die_at(die_at_chunk):
    return lambda *chunk: die_at_chunk("run", *chunk)


def was_died_at(*chunk, run_id="run"):
    with mark_chunk(run_id, Chunk(*chunk)) as died_here:
        return died_here


def test_a_chunk_that_a_process_died_at_is_known_until_it_is_done(die_at):
    die_at(3, 0, 100)
    assert was_died_at(3, 0, 100)
    assert not was_died_at(3, 0, 100)


def test_chunks_that_are_cut_otherwise_after_a_restart_are_known_by_their_rows(die_at):
    die_at(3, 100, 200)
    assert not was_died_at(3, 0, 100)
    assert not was_died_at(4, 100, 200)
    assert was_died_at(3, 150, 160)


def test_another_run_is_not_concerned(die_at):
    die_at(3, 0, 100)
    assert not was_died_at(3, 0, 100, run_id="other")


def test_a_chunk_that_another_task_works_at_is_not_taken_for_a_death():
    with mark_chunk("run", Chunk(3, 0, 100)):
        assert not was_died_at(3, 0, 100)


def test_an_exception_is_no_death():
    with pytest.raises(ZeroDivisionError), mark_chunk("run", Chunk(3, 0, 100)):
        raise ZeroDivisionError
    assert not was_died_at(3, 0, 100)
    assert os.listdir(os.path.join(tempfile.gettempdir(), f"tench-{os.getuid()}", "run")) == []
