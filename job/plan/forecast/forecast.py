"""The forecast of a run from its spec, its images and its machines: the simulation, fed with measured constants."""

import math
from dataclasses import dataclass

from pydantic import BaseModel

from job.plan.forecast.rates import (
    BUCKET_REQUESTS_A_SECOND,
    LOCAL_START_S,
    POD_START_S,
    RAY_START_S,
    RAY_TASK_S,
    TYPICAL_BYTES,
    StageRates,
    predict_seconds,
)
from job.plan.forecast.simulation import CHUNK_IMAGES, Outcome, Pods, Shared, simulate
from job.spec.spec import JobSpec
from job.stores.uris import split_bucket
from job.terminal.wording import counted, duration, rate


@dataclass(frozen=True)
class Machines:
    """What a run would have: its replicas, each with a GPU of a kind or with cores, and cores that decode."""

    replicas: int
    replica_cores: int
    decode_cores: float  # of all together
    gpu: str | None = None  # one of GPU_GFLOPS
    is_cluster: bool = False
    price_an_hour: float | None = None  # of all pods together


class Forecast(BaseModel):
    """As `tench plan -o json` prints it. `price` is null where the values tell none; `assumed` was not measured."""

    images: int
    images_per_second: float
    seconds: float
    pod_hours: float
    price: float | None
    bottleneck: str
    cores_to_feed_a_replica: float
    assumed: list[str]

    def line(self) -> str:
        cost = "" if self.price is None else f", price {self.price:,.2f}"
        pods = f"{rate(self.pod_hours)} replica-hours"
        doubts = f"; assumed: {', '.join(self.assumed)}" if self.assumed else ""
        fed = counted(math.ceil(self.cores_to_feed_a_replica), "core")
        return (
            f"{counted(self.images, 'image')} at {rate(self.images_per_second)} a second, {duration(self.seconds)}, "
            f"{pods}{cost}; limited by {self.bottleneck}; {fed} would feed a replica{doubts}"
        )


def forecast(
    spec: JobSpec,
    images: int,
    total_bytes: int | None,
    machines: Machines,
    images_per_second: float | None = None,
) -> Forecast | None:
    """`images_per_second` is a replica's, where it was measured. None where neither that
    nor the network's work is known."""
    assumed = []
    predict_s = 1 / images_per_second if images_per_second else None
    if predict_s is None:
        predict_s = predict_seconds(spec.model, machines.replica_cores, machines.gpu)
        assumed.append(f"a model on {machines.gpu}" if machines.gpu else "a model on cores with AVX2, in float32")
    if predict_s is None:
        return None
    if not total_bytes or not images:
        assumed.append(f"images of {TYPICAL_BYTES // 1000} KB")
    mean_bytes = total_bytes / images if total_bytes and images else TYPICAL_BYTES
    rates = StageRates.of(mean_bytes, split_bucket(spec.source.uri) is not None, predict_s)
    if machines.gpu is None and not machines.is_cluster:
        rates = rates.on_shared_cores(int(machines.decode_cores), machines.replicas * machines.replica_cores)
    outcome = simulate(images, rates, _pods(machines), _shared(spec, machines))
    return Forecast(
        images=images,
        images_per_second=round(outcome.images_per_second, 2),
        seconds=round(outcome.seconds, 1),
        pod_hours=round(outcome.pod_seconds / 3600, 3),
        price=None if machines.price_an_hour is None else round(machines.price_an_hour * outcome.seconds / 3600, 2),
        bottleneck=_bottleneck(outcome),
        cores_to_feed_a_replica=round(rates.core_s / predict_s, 2),
        assumed=assumed,
    )


def steady_rate(rates: StageRates, pods: Pods, shared: Shared) -> float:
    """Images a second that a run comes to when it is long: the slowest of its stages."""
    feeding = pods.count / rates.feed_s(pods.decode_cores)
    driver = 1 / (rates.commit_s + shared.chunk_s / CHUNK_IMAGES)
    return min(feeding, pods.count / rates.predict_s, shared.store_images_a_second, driver)


def _pods(machines: Machines) -> Pods:
    decode_cores = max(1.0, machines.decode_cores / machines.replicas)
    return Pods(machines.replicas, decode_cores, start_s=POD_START_S if machines.is_cluster else 0.0)


def _shared(spec: JobSpec, machines: Machines) -> Shared:
    limit = (
        BUCKET_REQUESTS_A_SECOND
        if split_bucket(spec.source.uri) is not None and spec.source.kind == "files"
        else math.inf
    )
    if machines.is_cluster:
        return Shared(limit, RAY_TASK_S, POD_START_S + RAY_START_S)
    return Shared(limit, 0.0, LOCAL_START_S)


def _bottleneck(outcome: Outcome) -> str:
    shares = ", ".join(f"{stage} {share:.0%}" for stage, share in outcome.busy.items() if share >= 0.005)
    return f"{outcome.bottleneck} ({shares} busy)"
