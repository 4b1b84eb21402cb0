"""The batch limit: every image once and in order, whatever does not fit; smaller batches then, larger ones again."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from job.models.batch_limit import FIRST_PATIENCE, BatchLimit


class Device:
    """Takes so many images at once; as many things as it is asked for it remembers."""

    def __init__(self, room):
        self.room, self.sizes = room, []

    def __call__(self, start, stop):
        if stop - start > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 5.8 GB")
        self.sizes.append(stop - start)
        return list(range(start, stop))


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), max_size=40))
def test_every_image_is_predicted_once_and_in_order(batches):
    limit = BatchLimit("cpu")
    for images, room in batches:
        parts = limit.run(images, Device(room))
        assert [index for part in parts for index in part] == list(range(images))
        assert max(map(len, parts)) <= room


def test_a_batch_is_halved_until_it_fits_and_stays_so():
    limit, device = BatchLimit("cpu"), Device(70)
    limit.run(256, device)
    limit.run(256, device)
    assert device.sizes == [64] * 8
    assert (limit.ran_out, limit.images(256), limit.images(10)) == (2, 64, 10)


def test_it_grows_again_and_waits_longer_where_that_fails():
    limit, device = BatchLimit("cpu"), Device(70)
    for _ in range(10 * FIRST_PATIENCE):
        limit.run(128, device)
    # 16 calls, then 32, 64 and 128 of them: so often it tried.
    assert limit.ran_out == 1 + 4
    device.room = 1000
    for _ in range(10 * FIRST_PATIENCE):
        limit.run(128, device)
    assert device.sizes[-1] == limit.images(128) == 128


def test_an_image_that_does_not_fit_alone_ends_it():
    with pytest.raises(torch.OutOfMemoryError, match=r"5\.8 GB"):
        BatchLimit("cpu").run(8, Device(0))


def test_other_errors_are_not_repeated():
    calls = []

    def fail(start, stop):
        calls.append((start, stop))
        raise RuntimeError("an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        BatchLimit("cpu").run(8, fail)
    assert calls == [(0, 8)]
