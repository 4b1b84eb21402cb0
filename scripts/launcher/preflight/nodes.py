"""Nodes: which could ever hold the run's pods, and how many of them fit now.

What a node could ever hold is its allocatable resources less its daemons'; what it holds now, less all its pods'.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from job.errors import PreflightError
from job.terminal.wording import counted
from tench.launcher.cluster.kube import Kube, Object
from tench.launcher.preflight.finding import Finding, error, ok, warning
from tench.launcher.preflight.placement import why_not
from tench.launcher.preflight.pod_groups import PodGroup, requests_of
from tench.launcher.preflight.quantity import Resources, parse_all, show, show_all

AUTOSCALERS = {
    "the cluster autoscaler": "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status",
    "Karpenter": "/apis/karpenter.sh/v1/nodepools",
}


@dataclass(frozen=True)
class Room:
    """A node and what is free of it; `take` makes it less."""

    node: Object
    free: Resources

    def fits(self, requests: Resources) -> bool:
        return all(self.free.get(name, Decimal(0)) >= amount for name, amount in requests.items())

    def take(self, requests: Resources) -> None:
        for name, amount in requests.items():
            self.free[name] = self.free.get(name, Decimal(0)) - amount


def check_nodes(kube: Kube, groups: Sequence[PodGroup]) -> list[Finding]:
    """A finding for each role. Raises PreflightError where nodes may not be listed."""
    nodes = kube.items("/api/v1/nodes")
    pods = _pods(kube)
    daemons = [each for each in pods or [] if _is_daemon(each)]
    ever = _place(groups, _rooms(nodes, daemons))
    now = None if pods is None else _place(groups, _rooms([node for node in nodes if _is_usable(node)], pods))
    findings = [
        _nowhere(group, nodes)
        if not _place([group], _rooms(nodes, daemons))[group.role]
        else _judge(group, ever[group.role], None if now is None else now[group.role])
        for group in groups
    ]
    autoscaler = None if all(each.level != "error" for each in findings) else _autoscaler(kube)
    return [_soften(each, autoscaler) for each in findings]


def _judge(group: PodGroup, ever: int, now: int | None) -> Finding:
    pods, asked = counted(group.count, f"{group.role} pod"), show_all(group.requests)
    if ever < group.count:
        text = f"the run has {pods} ({asked}), and beside its other pods the nodes hold {ever:,} at most"
        way_out = f"lower job.compute.concurrency or {group.values}"
        return error("nodes", f"{text}; it starts when all are there: {way_out}")
    if now is None:
        return ok("nodes", f"{pods} ({asked}) could fit; what is free now is not told to you")
    if now < group.count:
        text = f"{now:,} of {pods} ({asked}) fit now; the run starts when all are there, once other pods end"
        return warning("nodes", text)
    return ok("nodes", f"{pods} ({asked}) {'fits' if group.count == 1 else 'fit'} now")


def _nowhere(group: PodGroup, nodes: Sequence[Object]) -> Finding:
    text = f"no node could ever hold a {group.role} pod ({show_all(group.requests)}): {_reasons(group, nodes)}"
    return error("nodes", f"{text}; ask for less in {group.values}, or for other nodes")


def _reasons(group: PodGroup, nodes: Sequence[Object]) -> str:
    """How many nodes lack what, the most frequent first."""
    if not nodes:
        return "there are none"
    counts = Counter(why_not(node, group.spec, group.values) or _too_small(group, node) for node in nodes)
    return "; ".join(f"{counted(number, 'node')}: {reason}" for reason, number in counts.most_common())


def _too_small(group: PodGroup, node: Object) -> str:
    allocatable = parse_all(node["status"]["allocatable"])
    for name, amount in sorted(group.requests.items(), key=lambda item: "/" not in item[0]):
        if name not in allocatable and amount:
            return f"no {name}"
        if allocatable.get(name, Decimal(0)) < amount:
            return f"{show(name, allocatable[name])} of {name} and {show(name, amount)} is asked for"
    return "not enough left beside its daemons"


def _place(groups: Sequence[PodGroup], rooms: Sequence[Room]) -> dict[str, int]:
    """How many of each role fit together: those that ask for GPUs first, each on the first node that takes it."""
    placed = {}
    for group in sorted(groups, key=lambda each: (-each.gpus, each.role != "head")):
        requests = {**group.requests, "pods": Decimal(1)}
        allowed = [room for room in rooms if why_not(room.node, group.spec, group.values) is None]
        placed[group.role] = sum(_place_one(requests, allowed) for _ in range(group.count))
    return placed


def _place_one(requests: Resources, rooms: Sequence[Room]) -> bool:
    room = next((each for each in rooms if each.fits(requests)), None)
    if room:
        room.take(requests)
    return room is not None


def _rooms(nodes: Sequence[Object], pods: Sequence[Object]) -> list[Room]:
    rooms = {node["metadata"]["name"]: Room(node, parse_all(node["status"]["allocatable"])) for node in nodes}
    for pod in pods:
        if room := rooms.get(pod["spec"]["nodeName"]):
            room.take({**requests_of(pod["spec"]), "pods": Decimal(1)})
    return list(rooms.values())


def _pods(kube: Kube) -> list[Object] | None:
    """Those of all namespaces that hold resources; None where they may not be listed."""
    try:
        found = kube.items("/api/v1/pods", fieldSelector="status.phase!=Succeeded,status.phase!=Failed")
    except PreflightError:
        return None
    return [each for each in found if each["spec"].get("nodeName")]


def _is_daemon(pod: Object) -> bool:
    """It is on its node for good: of a DaemonSet, or the node's own."""
    return any(owner["kind"] in ("DaemonSet", "Node") for owner in pod["metadata"].get("ownerReferences", []))


def _is_usable(node: Object) -> bool:
    conditions = {each["type"]: each["status"] for each in node["status"].get("conditions", [])}
    return not node["spec"].get("unschedulable") and conditions.get("Ready", "True") == "True"


def _autoscaler(kube: Kube) -> str | None:
    """Who may add a node."""
    for name, path in AUTOSCALERS.items():
        try:
            found = kube.get(path)
        except PreflightError:
            continue
        if found.get("data") or found.get("items"):
            return name
    return None


def _soften(finding: Finding, autoscaler: str | None) -> Finding:
    if finding.level != "error":
        return finding
    if autoscaler:
        return warning(finding.what, f"{finding.text}; or {autoscaler} adds nodes that do")
    return error(finding.what, f"{finding.text}; or --force where nodes will be added")
