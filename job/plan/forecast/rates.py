"""Measured constants of a run's stages, each with its source. Seconds of one core, one request or one replica."""

from dataclasses import dataclass, replace

from job.plan.forecast.networks import gflop_of
from job.spec.spec import ModelSpec

# libjpeg-turbo and torch's uint8 resize to 224 on one core: 1.0 ms at 500x375, 57 at 4000x3000, Zen 4.
DECODE_S = 0.0002
DECODE_S_A_MEGAPIXEL = 0.0047
BYTES_A_PIXEL = 0.4  # of a photographic JPEG: 0.25 to 0.6
TYPICAL_BYTES = 110_000  # ImageNet's mean, where the source tells no sizes

# Until an object's bytes are there, and what one connection brings.
LOCAL_READ_S = 0.0001
BUCKET_READ_S = 0.03
BUCKET_BYTES_A_SECOND = 60e6
# Of each core that decodes: 32 of a task of four. Files of this machine are read by the thread that decodes them.
BUCKET_REQUESTS_AHEAD = 8
BUCKET_REQUESTS_A_SECOND = 5_500  # of one prefix of S3, by its documentation

COMMIT_S = 1 / 300_000  # of the driver, a row
RAY_TASK_S = 1 / 138  # of the driver, a chunk of Ray Data: measured, and linear in their number

LOCAL_START_S = 4.0
RAY_START_S = 26.0  # of the driver on a cluster, until its first rows are committed
POD_START_S = 60.0  # where the node has the image

# Sustained by whole networks, in GFLOP a second: eager, channels last, batches of 256.
CPU_CORE_GFLOPS = 34.0  # float32 with AVX2; 95 with AVX-512, and 205 in its bfloat16
GPU_GFLOPS = {
    "T4": 9_700.0,  # ResNet-50 in float16: 1,190 images a second, by NVIDIA
    "A10G": 14_400.0,  # ViT-B/16 in float32: 410 by Ray's release tests
    "RTX 4090": 42_000.0,  # ResNet-50 in float16, channels last: 5,088 by timm
    "H200": 180_000.0,  # projected from timm's RTX 4090 by bandwidth: ResNet-50 22,000 in bfloat16
}
DEFAULT_GPU = "H200"


@dataclass(frozen=True)
class StageRates:
    """What one image takes of each stage. `decode_s` is of a core, `predict_s` of a replica, `commit_s` of the driver.

    Reading takes the core's time where `requests_ahead` is 0; else each core has so many images on
    their way to it at once.
    """

    read_s: float
    decode_s: float
    predict_s: float
    commit_s: float = COMMIT_S
    requests_ahead: int = 0

    @classmethod
    def of(cls, mean_bytes: float, in_bucket: bool, predict_s: float) -> "StageRates":
        decode_s = decode_seconds(mean_bytes)
        if not in_bucket:
            return cls(LOCAL_READ_S, decode_s, predict_s)
        read_s = BUCKET_READ_S + mean_bytes / BUCKET_BYTES_A_SECOND
        return cls(read_s, decode_s, predict_s, requests_ahead=BUCKET_REQUESTS_AHEAD)

    def feed_s(self, cores: float) -> float:
        """One image's share of the time in which so many cores read and decode."""
        if self.requests_ahead:
            return max(self.decode_s, self.read_s / self.requests_ahead) / cores
        return (self.decode_s + self.read_s) / cores

    @property
    def core_s(self) -> float:
        """What one image keeps a core busy before it is predicted."""
        return self.decode_s + (0.0 if self.requests_ahead else self.read_s)

    def on_shared_cores(self, cores: int, replica_cores: int) -> "StageRates":
        """Where a model runs on the same cores as decoding: a replica waits while they are at the other."""
        work_s = self.core_s + self.predict_s * replica_cores
        return replace(self, predict_s=max(self.predict_s, work_s / cores))


def decode_seconds(mean_bytes: float) -> float:
    """Of one core, to decode and resize a JPEG of so many bytes."""
    return DECODE_S + DECODE_S_A_MEGAPIXEL * mean_bytes / BYTES_A_PIXEL / 1e6


def predict_seconds(model: ModelSpec, cores: int, gpu: str | None) -> float | None:
    """Of one replica, an image; None where nobody knows the network's work. `gpu` is one of `GPU_GFLOPS`."""
    gflop = gflop_of(model)
    if gflop is None:
        return None
    return gflop / (GPU_GFLOPS[gpu] if gpu else CPU_CORE_GFLOPS * cores)
