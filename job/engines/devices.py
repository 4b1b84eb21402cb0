"""Devices: what `gpus_per_replica` means where a process stands."""

import logging
from collections.abc import Iterable

from job.errors import ModelError
from job.spec.spec import ComputeSpec, ModelSpec

log = logging.getLogger(__name__)


def gpus_wanted(compute: ComputeSpec) -> float:
    """GPUs of a replica; `auto` is 1 where this process sees CUDA, else 0."""
    if compute.gpus_per_replica != "auto":
        return compute.gpus_per_replica
    import torch

    return 1.0 if torch.cuda.is_available() else 0.0


def precision_on(model: ModelSpec, devices: Iterable[str]) -> str | None:
    """The precision that suits all of the devices; None where the model chooses its own."""
    if model.kind == "python":
        return None
    from job.models.device import choose_dtype

    chosen = {str(choose_dtype(model, device)).removeprefix("torch.") for device in devices}
    return chosen.pop() if len(chosen) == 1 else "float32"


def replica_device(gpus: float, cpu_fallback: bool) -> str:
    """The device of the replica that is this process. Raises ModelError where a promised GPU is not there."""
    import torch

    if not gpus:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda:0"
    if not cpu_fallback:
        raise ModelError(
            f"this replica was promised {gpus:g} GPUs and sees none; check the image's CUDA and the node's driver, or "
            "set compute.cpu_fallback: true to run on the CPU"
        )
    log.warning("compute.gpus_per_replica is %g and this replica sees no GPU: running on the CPU", gpus)
    return "cpu"
