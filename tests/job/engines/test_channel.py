"""The channel: bounded, ends with its writers, breaks with them, lets them go when the reader has gone."""

import threading

import pytest

from job.engines.channel import Channel, ChannelClosedError


def write(channel, items):
    for item in items:
        channel.put(item)
    channel.done()


def test_every_item_of_every_writer_arrives_and_then_it_ends():
    channel = Channel(capacity=2, writers=3)
    for writer in range(3):
        threading.Thread(target=write, args=(channel, [(writer, number) for number in range(100)])).start()
    items = list(channel)
    assert sorted(items) == [(writer, number) for writer in range(3) for number in range(100)]
    assert [number for writer, number in items if writer == 1] == list(range(100))


def test_a_writer_waits_for_room():
    channel = Channel(capacity=2, writers=1)
    thread = threading.Thread(target=write, args=(channel, range(5)), daemon=True)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    assert list(channel) == [0, 1, 2, 3, 4]


def test_an_error_comes_before_what_still_waits():
    channel = Channel(capacity=9, writers=1)
    channel.put(1)
    channel.fail(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        list(channel)


def test_a_writer_ends_when_the_reader_has_gone():
    channel = Channel(capacity=1, writers=1)
    channel.put(1)
    channel.close()
    with pytest.raises(ChannelClosedError):
        channel.put(2)


def test_several_readers_share_the_items():
    channel = Channel(capacity=4, writers=1)
    found, lock = [], threading.Lock()

    def read():
        for item in channel:
            with lock:
                found.append(item)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    write(channel, range(200))
    for reader in readers:
        reader.join()
    assert sorted(found) == list(range(200))
