"""The Ray engine: an actor pool of exactly `concurrency`, each replica reading and decoding its own chunks.

Where other nodes are to decode, tasks do, and pixels go through Ray's object store: `capacity` says which.
Ray Data moves the blocks and retries what is lost; commits stay with the driver. A task is given chunk numbers and
works out the rest, so the driver holds no list of images.
"""

import logging
import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, cast

import pyarrow as pa

from job.engines.capacity import Layout, NodeSize, await_capacity, lay_out
from job.engines.devices import gpus_wanted, precision_on, replica_device
from job.engines.engine import Work
from job.engines.ray_errors import drop_references, unwrapped, wrapped
from job.engines.ray_replica import CALLS_AT_ONCE, DecodingReplica, Replica
from job.engines.ray_start import LATE_STOP_TIMEOUT_S, init_ray, late
from job.errors import PreflightError
from job.plan.chunks import Chunks
from job.settings import RAY_START_TIMEOUT_S
from job.spec.spec import ComputeSpec, ModelSpec
from job.stages.slots import Slots

if TYPE_CHECKING:
    from ray.data import Dataset

log = logging.getLogger(__name__)

MAX_TASKS = 5000  # 2 to 5 KB each in the driver; a task of a larger run takes several chunks
_THREAD_TIMEOUT_S = LATE_STOP_TIMEOUT_S + 2  # of the thread that stops a head that is late
BLOCK_BYTES = 256 << 20  # a chunk of 1,000 images at 224² is 150 MB; Ray's 128 MiB would cut it in two


class RayEngine:
    """A cluster where RAY_ADDRESS names one, else an embedded Ray of this machine's cores."""

    name = "ray"

    def __init__(self, compute: ComputeSpec) -> None:
        self._compute = compute
        self._thread = threading.Thread(target=self._hold_ray, daemon=True)
        self._error: BaseException | None = None
        self._ready, self._stopped = threading.Event(), threading.Event()
        self._until_down = ExitStack()

    def __enter__(self) -> Self:
        # Read when Ray is imported. A cluster of fixed size has no node types that its autoscaler could miss.
        os.environ.setdefault("RAY_SCHEDULER_EVENTS", "0")
        self._thread.start()
        try:
            import ray  # noqa: F401 - here nothing else holds Python yet: it is soon done, and Ray there the sooner
        except ImportError as error:
            self._stopped.set()
            raise PreflightError(f"Ray did not start: {error}") from error
        return self

    def __exit__(self, *error: object) -> None:
        """Waits until Ray is down: a reference that is dropped meanwhile, or later, makes Ray end this process.

        Not for one that never came up: its head ends with this process.
        """
        if self._ready.is_set():
            drop_references(error[1] if isinstance(error[1], BaseException) else None)
        self._stopped.set()
        self._thread.join(None if self._ready.is_set() else _THREAD_TIMEOUT_S)
        self._until_down.close()

    def _hold_ray(self) -> None:
        """Starts Ray, and takes it down in the end."""
        head = None
        try:
            head = init_ray(self._compute)
            import ray.data
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()
        self._stopped.wait()
        try:
            if self._error is None:
                ray.shutdown()
        finally:
            if head:
                head.stop()

    @property
    def slots(self) -> Slots:
        return self._layout.slots

    @cached_property
    def _layout(self) -> Layout:
        import ray

        timeout_s = RAY_START_TIMEOUT_S.value()
        if not self._ready.wait(timeout_s):
            raise PreflightError(late(timeout_s))
        if isinstance(self._error, PreflightError):
            raise self._error
        if self._error:
            raise PreflightError(f"Ray did not start: {self._error}") from self._error
        if "RAY_ADDRESS" in os.environ:
            await_capacity(self._compute)
        found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        nodes = [NodeSize(int(resources.get("CPU", 0)), resources.get("GPU", 0.0)) for resources in found]
        layout = lay_out(nodes, self._compute, gpus_wanted(self._compute))
        log.info("%s", layout)
        return layout

    @cached_property
    def spans_nodes(self) -> bool:
        import ray

        _ = self.slots  # waits until Ray is there
        return len([node for node in ray.nodes() if node["Alive"]]) > 1

    def choose_precision(self, model: ModelSpec) -> Callable[[], str | None]:
        """On this machine it is known here; on a cluster a task asks the device that a replica would get."""
        gpus, fallback = gpus_wanted(self._compute), self._compute.cpu_fallback
        if model.kind == "python" or model.precision != "auto" or not self.spans_nodes:
            return partial(_precision_here, model, gpus, fallback)
        import ray

        ask = ray.remote(num_cpus=self._compute.cpus_per_replica, num_gpus=gpus or None)(_precision_here)
        asked = ask.remote(model, gpus, fallback)

        def answer() -> str | None:
            try:
                return cast(str | None, ray.get(asked))
            except Exception as error:
                raise unwrapped(error) from error

        return answer

    def block_images(self, batch_size: int) -> int:
        # On a GPU every table is a wait for it; on the CPU several batches would only hold memory.
        is_waited_for = not self._layout.is_beside or gpus_wanted(self._compute)
        return max(batch_size, 1000 - 1000 % batch_size) if is_waited_for else batch_size

    def run(self, work: Work) -> Generator[pa.Table]:
        from job.engines.ray_services import without_helpers

        configure_ray_data()
        if self._layout.is_beside:
            dataset = beside_dataset(work)
            # Ray Data's own thread ends after its last row is here.
            self._until_down.enter_context(without_helpers("RAY_ADDRESS" in os.environ))
        else:
            dataset = rows_dataset(work)
        try:
            yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        except Exception as error:
            raise unwrapped(error) from error


def _precision_here(model: ModelSpec, gpus: float, cpu_fallback: bool) -> str | None:
    with wrapped():
        return precision_on(model, [replica_device(gpus, cpu_fallback)])


def configure_ray_data() -> None:
    from ray.data import DataContext

    # Importing ray.data sets these anew; its progress is not shown, and ours is.
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    # What ends a run is told once, by whoever catches it; these two print its traceback before that.
    for name in ("_internal.execution.streaming_executor_state", "exceptions"):
        logging.getLogger(f"ray.data.{name}").setLevel(logging.CRITICAL)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.issue_detectors_config.detectors = []  # they would advise to raise the byte of memory asked for below
    context.target_max_block_size = BLOCK_BYTES
    context.raise_original_map_exception = True  # wrapped, it would lose its class on the way here
    # A replica that dies while it loads (an OOM kill, a lost node) is started again.
    context.max_consecutive_actor_init_deaths = 3


def rows_dataset(work: Work) -> "Dataset":
    """Rows of chunks that tasks decode, wherever there is a CPU; pixels go through the object store to the replicas."""
    import ray
    from ray.data import ActorPoolStrategy

    gpus = gpus_wanted(work.compute)
    chunks, decode = work.chunks.whole(), work.decode

    def decode_chunks(numbers: dict[str, Any]) -> Iterator[pa.Table]:
        with wrapped():
            for number in numbers["id"].tolist():
                yield from decode(chunks[number])

    decoded = ray.data.range(len(chunks), override_num_blocks=_tasks(chunks)).map_batches(
        decode_chunks, batch_size=None, batch_format="numpy", num_cpus=decode.threads
    )
    return decoded.map_batches(
        Replica,
        fn_constructor_args=(work.model, work.compute, gpus, decode.recipe),
        # Ray wants a number where there are GPUs; whole blocks otherwise, which saves a copy.
        batch_size=_bundle(work) if gpus else None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=work.compute.concurrency),
        num_cpus=work.compute.cpus_per_replica,
        num_gpus=gpus or None,
        memory=1,  # a byte that decoding does not ask for: Ray Data fuses stages that ask for the same
    )


def _bundle(work: Work) -> int:
    return work.decode.block_images if work.decode.recipe.size else 8 * work.compute.batch_size


def beside_dataset(work: Work) -> "Dataset":
    """Rows of chunks that each replica reads and decodes for itself: one stage, and small rows alone leave a pod."""
    import ray
    from ray.data import ActorPoolStrategy

    chunks = work.chunks.whole()
    gpus, tasks = gpus_wanted(work.compute), _tasks(chunks)
    bounds = [len(chunks) * task // tasks for task in range(tasks + 1)]
    parts = [{"first": first, "end": end} for first, end in pairwise(bounds)]
    pool = ActorPoolStrategy(
        size=work.compute.concurrency,
        max_concurrent_calls_per_actor=CALLS_AT_ONCE,
        enable_true_multi_threading=True,
    )
    # The driver's own: `range` would have them made by tasks, in two more processes.
    return ray.data.from_items(parts, override_num_blocks=tasks).map_batches(
        DecodingReplica,
        fn_constructor_args=(work.model, work.compute, gpus, work.decode, chunks),
        batch_size=1,
        batch_format="numpy",
        compute=pool,
        num_cpus=work.compute.cpus_per_replica,
        num_gpus=gpus or None,
    )


def _tasks(chunks: Chunks) -> int:
    return min(len(chunks), MAX_TASKS)
