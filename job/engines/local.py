"""The local engine: both stages in threads of this process. Nothing to start, so pictures come in seconds."""

import functools
import importlib
import itertools
import logging
import threading
from collections.abc import Callable, Generator
from typing import Self

import pyarrow as pa

from job.engines.channel import Channel, ChannelClosedError
from job.engines.devices import gpus_wanted, precision_on
from job.engines.engine import Work
from job.errors import PreflightError
from job.spec.spec import ComputeSpec, ModelSpec
from job.stages.machine import cores
from job.stages.slots import Slots
from job.stages.timed_predict import TimedPredict

log = logging.getLogger(__name__)

CHUNKS_AT_ONCE = 2  # while one chunk's last images are decoded, the threads that are free begin the next
DECODED_AHEAD = 2  # tables a replica
STOP_TIMEOUT_S = 60.0


class LocalEngine:
    """One predictor a device, as many as `concurrency` asks for."""

    name = "local"

    def __init__(self, compute: ComputeSpec) -> None:
        self._compute = compute
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        # 3 to 4 s on two cores; listing the source takes the rest of them meanwhile.
        self._threads.append(_start(functools.partial(importlib.import_module, "torch")))
        return self

    def __exit__(self, *error: object) -> None:
        """Waits for the batch each thread is at: one inside torch when Python ends aborts the process."""
        for thread in self._threads:
            thread.join(STOP_TIMEOUT_S)

    @functools.cached_property
    def slots(self) -> Slots:
        return Slots(decode_threads=cores(), threads_per_task=cores(), replicas=len(self._devices))

    @functools.cached_property
    def _devices(self) -> list[str]:
        return local_devices(self._compute)

    spans_nodes = False

    def choose_precision(self, model: ModelSpec) -> Callable[[], str | None]:
        return functools.partial(precision_on, model, self._devices)

    def block_images(self, batch_size: int) -> int:
        return batch_size

    def run(self, work: Work) -> Generator[pa.Table]:
        devices = self._devices
        chunks = iter(work.chunks)
        lock = threading.Lock()
        decoded: Channel[pa.Table] = Channel(DECODED_AHEAD * len(devices), CHUNKS_AT_ONCE)
        rows: Channel[pa.Table] = Channel(4 * len(devices), len(devices))

        def decode() -> None:
            while True:
                with lock:
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                for table in work.decode(chunk):
                    decoded.put(table)

        def predict(device: str) -> None:
            stage = TimedPredict(work.model, work.compute, device, work.decode.recipe)
            for table in decoded:
                rows.put(stage(table))

        for _ in range(CHUNKS_AT_ONCE):
            self._threads.append(_start(functools.partial(_write, decode, decoded, rows)))
        for device in devices:
            self._threads.append(_start(functools.partial(_write, functools.partial(predict, device), rows, rows)))
        try:
            yield from rows
        finally:
            rows.close()
            decoded.close()


def _start(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _write(work: Callable[[], None], output: Channel[pa.Table], errors: Channel[pa.Table]) -> None:
    """Does `work`, which writes to `output`, and lets the reader know how it ended."""
    try:
        work()
    except ChannelClosedError:
        return
    except BaseException as error:
        errors.fail(error)
    else:
        output.done()


def local_devices(compute: ComputeSpec) -> list[str]:
    """A device for each replica. Raises PreflightError where that takes more GPUs than there are."""
    import torch

    gpus, there = gpus_wanted(compute), torch.cuda.device_count()
    if not gpus:
        return ["cpu"] * compute.concurrency
    if compute.cpu_fallback and not there:
        log.warning("compute.gpus_per_replica is %g and this machine has no GPU: running on the CPU", gpus)
        return ["cpu"] * compute.concurrency
    if compute.concurrency * gpus > there:
        raise PreflightError(
            f"compute asks for {compute.concurrency} replicas of {gpus:g} GPUs and this machine has {there}; lower "
            "compute.concurrency or compute.gpus_per_replica, or set compute.cpu_fallback where there is none"
        )
    firsts = itertools.islice(itertools.count(0, gpus), compute.concurrency)
    return [f"cuda:{int(first)}" for first in firsts]
