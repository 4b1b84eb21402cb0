"""Replicas: the actors of Ray Data's pool, each with one model.

`Replica` predicts what tasks elsewhere have decoded. `DecodingReplica` reads and decodes for itself, with threads of
its own pod, and pixels never leave the process.

Ray Data takes an error of `__init__` for a death, and starts three more; one of `__call__` ends the run.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from job.engines.devices import replica_device
from job.engines.ray_errors import wrapped
from job.errors import TenchError
from job.models.resolve import ResolvedModel
from job.plan.chunks import Chunk, Chunks
from job.recipe import Recipe
from job.spec.spec import ComputeSpec
from job.stages.decode import DecodeStage

CALLS_AT_ONCE = 2  # while one chunk's last tables are predicted, the next one's first are decoded
TABLES_AHEAD = 1  # of each call, beside the one that is being decoded


class Replica:
    """Decoded tables in, rows out."""

    def __init__(self, model: ResolvedModel, compute: ComputeSpec, gpus: float, recipe: Recipe) -> None:
        from job.stages.timed_predict import TimedPredict  # torch, which the driver may do without

        self._error: TenchError | None = None
        try:
            self._predict = TimedPredict(model, compute, replica_device(gpus, compute.cpu_fallback), recipe)
        except TenchError as error:
            self._error = error

    def __call__(self, decoded: pa.Table) -> pa.Table:
        with wrapped():
            if self._error:
                raise self._error
            return self._predict(decoded)


class DecodingReplica:
    """Ranges of chunks in, their rows out. Called by `CALLS_AT_ONCE` threads."""

    def __init__(
        self, model: ResolvedModel, compute: ComputeSpec, gpus: float, decode: DecodeStage, chunks: Chunks
    ) -> None:
        self._decode, self._chunks = decode, chunks
        # All that the model computes is computed by one thread, which alone has its state: torch keeps much a thread.
        self._thread = ThreadPoolExecutor(1, "predict")
        self._replica: Replica = self._thread.submit(Replica, model, compute, gpus, decode.recipe).result()

    def __call__(self, parts: dict[str, Any]) -> Iterator[pa.Table]:
        for first, end in zip(parts["first"].tolist(), parts["end"].tolist(), strict=True):
            for number in range(first, end):
                yield pa.concat_tables(self._rows(self._chunks[number]))

    def _rows(self, chunk: Chunk) -> Iterator[pa.Table]:
        ahead: deque[Future[pa.Table]] = deque()
        with wrapped():
            for decoded in self._decode(chunk):
                ahead.append(self._thread.submit(self._replica, decoded))
                del decoded  # else its pixels stay until the next are there
                while len(ahead) > TABLES_AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
