"""The outlook: the forecast of a run on this machine, or on the pods that its chart would make."""

import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from job.plan.forecast.forecast import Forecast, Machines, forecast
from job.plan.forecast.rates import DEFAULT_GPU, GPU_GFLOPS
from job.results.preview import Preview
from job.spec.spec import JobSpec
from job.stages.machine import cores
from tench.launcher.preflight.estimate import Measured
from tench.launcher.preflight.pod_groups import PodGroup

A_MILLION = 1_000_000
_GPU_DEVICE = Path("/dev/nvidia0")


def work_of(found: Preview) -> tuple[int, int | None]:
    """The images that are left to do and their bytes; a million where only a part of the source was listed."""
    images = A_MILLION if found.is_sample else found.images - found.skipped_images
    return images, round(found.bytes * images / found.images) if found.bytes and found.images else None


def outlook_here(spec: JobSpec, images: int, total_bytes: int | None, measured: Measured | None) -> Forecast | None:
    """Of `tench run` on this machine. None where neither an earlier run nor the model's name tells its speed."""
    compute = spec.compute
    wants_gpu = _GPU_DEVICE.exists() if compute.gpus_per_replica == "auto" else compute.gpus_per_replica > 0
    machines = Machines(
        replicas=compute.concurrency,
        replica_cores=compute.cpus_per_replica,
        decode_cores=cores(),
        gpu=DEFAULT_GPU if wants_gpu else None,
    )
    return _forecast(spec, images, total_bytes, machines, measured)


def outlook_on_pods(
    spec: JobSpec, groups: Sequence[PodGroup], images: int, total_bytes: int | None, measured: Measured | None
) -> Forecast | None:
    """Of a run on pods of its own; None also on a warm cluster, whose pods the run does not ask for."""
    by_role = {group.role: group for group in groups}
    workers = by_role.get("worker")
    if workers is None:
        return None
    compute = spec.compute
    decoders = by_role.get("decoder")
    spare = _cpus(workers) - compute.concurrency * compute.cpus_per_replica
    machines = Machines(
        replicas=compute.concurrency,
        replica_cores=compute.cpus_per_replica,
        decode_cores=float(_cpus(decoders) if decoders else max(Decimal(1), spare)),
        gpu=_gpu(workers),
        is_cluster=True,
        price_an_hour=_price(groups),
    )
    return _forecast(spec, images, total_bytes, machines, measured)


def _forecast(
    spec: JobSpec, images: int, total_bytes: int | None, machines: Machines, measured: Measured | None
) -> Forecast | None:
    if not images:
        return None
    return forecast(spec, images, total_bytes, machines, measured.images_per_second if measured else None)


def _cpus(group: PodGroup) -> Decimal:
    return group.requests.get("cpu", Decimal(1)) * group.count


def _gpu(workers: PodGroup) -> str | None:
    """As the nodes that are selected are labelled (`nvidia.com/gpu.product: Tesla-T4`), else what is assumed."""
    if not workers.gpus:
        return None
    labels = " ".join(map(str, (workers.spec.get("nodeSelector") or {}).values())).upper().replace("-", " ")
    return next((name for name in GPU_GFLOPS if name in labels), DEFAULT_GPU)


def _price(groups: Sequence[PodGroup]) -> float | None:
    """An hour of all pods that have a price; None where none has."""
    prices = [group.price_an_hour * group.count for group in groups if group.price_an_hour is not None]
    return math.fsum(prices) if prices else None
