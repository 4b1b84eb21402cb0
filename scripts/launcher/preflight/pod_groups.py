"""The pods that a rendered run would make, by role, and what each asks for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tench.launcher.cluster.kube import Object
from tench.launcher.cluster.labels import PRICE
from tench.launcher.cluster.roles import values_of
from tench.launcher.preflight.quantity import Resources, add, parse_all, times


@dataclass(frozen=True)
class PodGroup:
    """Pods that are all alike."""

    role: str
    count: int
    spec: Object
    price_an_hour: float | None = None  # of one

    @property
    def values(self) -> str:
        return values_of(self.role)

    @property
    def requests(self) -> Resources:
        return requests_of(self.spec)

    @property
    def limits(self) -> Resources:
        return add(*(parse_all(each.get("resources", {}).get("limits")) for each in self.spec["containers"]))

    @property
    def gpus(self) -> int:
        """GPUs of all of them: whatever a vendor's device plugin offers."""
        return int(sum(amount for name, amount in self.requests.items() if is_gpu(name)) * self.count)


def pod_groups(rayjob: Object) -> list[PodGroup]:
    """None on a warm cluster, whose pods are there, but the submitter."""
    return list(_groups(rayjob["spec"]))


def total_requests(groups: Sequence[PodGroup]) -> Resources:
    return add(*(times(group.requests, group.count) for group in groups))


def total_limits(groups: Sequence[PodGroup]) -> Resources:
    return add(*(times(group.limits, group.count) for group in groups))


def requests_of(spec: Object) -> Resources:
    """A pod's: those of its containers together, or of its largest init container; a limit is a request, too."""
    running = add(*map(_container_requests, spec.get("containers", [])), parse_all(spec.get("overhead")))
    for each in spec.get("initContainers", []):
        first = _container_requests(each)
        if each.get("restartPolicy") == "Always":
            running = add(running, first)
        else:
            running |= {name: max(amount, running.get(name, amount)) for name, amount in first.items()}
    return running


def is_gpu(resource: str) -> bool:
    """`nvidia.com/gpu`, `amd.com/gpu`, `nvidia.com/mig-1g.5gb`, `gpu.intel.com/i915`; not an EFA device."""
    vendor, _, device = resource.partition("/")
    return "gpu" in device or "mig-" in device or vendor.startswith("gpu.")


def _groups(spec: Object) -> Iterator[PodGroup]:
    cluster = spec.get("rayClusterSpec")
    if cluster:
        head = cluster["headGroupSpec"]["template"]
        yield PodGroup("head", 1, head["spec"], _price(head))
        for group in cluster["workerGroupSpecs"]:
            template, role = group["template"], group["groupName"].removesuffix("s")
            yield PodGroup(role, group["replicas"], template["spec"], _price(template))
    if spec.get("submitterPodTemplate"):
        yield PodGroup("submitter", 1, spec["submitterPodTemplate"]["spec"])


def _price(template: Object) -> float | None:
    price = (template.get("metadata", {}).get("annotations") or {}).get(PRICE)
    return None if price is None else float(price)


def _container_requests(container: Object) -> Resources:
    resources = container.get("resources", {})
    return parse_all({**(resources.get("limits") or {}), **(resources.get("requests") or {})})
