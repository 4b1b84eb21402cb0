"""A run as events: chunks that pods read and decode, predict and hand to the driver, while pods come, die and return.

What a pod does is two stages with two chunks in flight: one is decoded while the other is predicted. The store's
limit and the driver are queues that all pods share. Times are seconds since the run was asked for.
"""

import heapq
import math
import random
from collections import defaultdict
from dataclasses import dataclass, field

from job.plan.forecast.rates import RAY_TASK_S, StageRates

CHUNK_IMAGES = 1000
MOST_STEPS = 20_000  # of a simulation: a larger run is simulated in larger chunks, and small runs in their own


@dataclass(frozen=True)
class Pods:
    """Pods that each hold one replica, and `decode_cores` beside it."""

    count: int
    decode_cores: float
    start_s: float = 0.0  # until a pod can begin
    apart_s: float = 0.0  # between one pod's coming and the next one's
    lives_s: float = math.inf  # on average, before it is taken away; another comes in its place


@dataclass(frozen=True)
class Shared:
    """What all pods share: the store's requests, and the driver."""

    store_images_a_second: float = math.inf
    chunk_s: float = RAY_TASK_S  # of the driver
    start_s: float = 0.0  # of the driver, before the first chunk is given out


@dataclass(frozen=True)
class Outcome:
    """How a run went. `busy` is each stage's share of the time from the first chunk to the last row."""

    images: int
    seconds: float
    working_s: float
    pod_seconds: float
    lost_chunks: int
    busy: dict[str, float] = field(default_factory=dict)

    @property
    def images_per_second(self) -> float:
        return self.images / self.working_s if self.working_s else 0.0

    @property
    def bottleneck(self) -> str:
        return max(self.busy, key=self.busy.__getitem__)


@dataclass
class _Pod:
    comes_s: float
    dies_s: float
    fed_s: float = 0.0
    predicted_s: float = 0.0


def simulate(images: int, rates: StageRates, pods: Pods, shared: Shared, seed: int = 0) -> Outcome:
    """The same for the same `seed`, which says when pods are taken away."""
    return _Run(images, rates, pods, shared, seed).outcome()


class _Run:
    def __init__(self, images: int, rates: StageRates, pods: Pods, shared: Shared, seed: int) -> None:
        self.images, self.rates, self.pods, self.shared = images, rates, pods, shared
        self.random = random.Random(seed)
        slots = pods.count * 4  # as runs cut their chunks
        self.chunk = max(1, min(CHUNK_IMAGES, math.ceil(images / slots)), math.ceil(images / MOST_STEPS))
        self.store_s = self.driver_s = shared.start_s
        self.busy_s: defaultdict[str, float] = defaultdict(float)
        self.pod_seconds, self.lost = 0.0, 0

    def outcome(self) -> Outcome:
        left = self.images
        latest_s = self.shared.start_s
        places = [self._pod(number * self.pods.apart_s) for number in range(self.pods.count)]
        first_s = max(self.shared.start_s, places[0].comes_s)
        asking = [(max(self.shared.start_s, pod.comes_s), number) for number, pod in enumerate(places)]
        heapq.heapify(asking)
        while left > 0:
            now_s, number = heapq.heappop(asking)
            pod, chunk = places[number], min(self.chunk, left)
            before_s = pod.predicted_s
            done_s = self._work(pod, now_s, chunk)
            if done_s > pod.dies_s:
                self.lost += 1
                latest_s = max(latest_s, pod.dies_s)
                self.pod_seconds += pod.dies_s - pod.comes_s
                places[number] = self._pod(pod.dies_s)
                heapq.heappush(asking, (places[number].comes_s, number))
                continue
            left -= chunk
            self.driver_s = max(self.driver_s, done_s) + self._driver_seconds(chunk)
            self.busy_s["driver"] += self._driver_seconds(chunk)
            latest_s = max(latest_s, self.driver_s)
            heapq.heappush(asking, (max(pod.fed_s, before_s), number))
        self.pod_seconds += sum(max(0.0, latest_s - pod.comes_s) for pod in places)
        return self._told(first_s, latest_s)

    def _pod(self, asked_s: float) -> _Pod:
        comes_s = asked_s + self.pods.start_s
        lives_s = math.inf if math.isinf(self.pods.lives_s) else self.random.expovariate(1 / self.pods.lives_s)
        return _Pod(comes_s, comes_s + lives_s)

    def _work(self, pod: _Pod, now_s: float, images: int) -> float:
        """When a pod that asks `now_s` has predicted so many images."""
        feed_s = images * self.rates.feed_s(self.pods.decode_cores)
        predict_s = images * self.rates.predict_s
        store_s = images / self.shared.store_images_a_second
        self.store_s = max(self.store_s, now_s) + store_s
        begun_s = max(now_s, pod.fed_s)
        pod.fed_s = max(begun_s + feed_s, self.store_s)
        pod.predicted_s = max(pod.predicted_s, pod.fed_s) + predict_s
        self.busy_s["store"] += store_s
        read_s = images * self.rates.read_s / max(1, self.rates.requests_ahead) / self.pods.decode_cores
        decode_s = images * self.rates.decode_s / self.pods.decode_cores
        if self.rates.requests_ahead:
            self.busy_s["read"] += read_s
            self.busy_s["decode"] += decode_s
        else:  # one after the other, by the same threads
            self.busy_s["read and decode"] += read_s + decode_s
        self.busy_s["predict"] += predict_s
        return pod.predicted_s

    def _driver_seconds(self, images: int) -> float:
        return images * self.rates.commit_s + self.shared.chunk_s * images / CHUNK_IMAGES

    def _told(self, first_s: float, latest_s: float) -> Outcome:
        working_s = max(1e-9, latest_s - first_s)
        of_each = {  # else of all pods together
            "read": self.pods.count,
            "decode": self.pods.count,
            "read and decode": self.pods.count,
            "predict": self.pods.count,
        }
        busy = {stage: min(1.0, spent / working_s / of_each.get(stage, 1)) for stage, spent in self.busy_s.items()}
        return Outcome(self.images, latest_s, working_s, self.pod_seconds, self.lost, busy)
