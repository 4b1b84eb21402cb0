"""Kueue: the LocalQueue that the run names, its ClusterQueue, and whether the run could ever be admitted there."""

from collections.abc import Sequence
from decimal import Decimal

from job.terminal.wording import counted
from tench.launcher.cluster.kube import Kube, Object
from tench.launcher.cluster.labels import PRIORITY_CLASS, QUEUE_NAME
from tench.launcher.preflight.finding import Finding, error, ok, warning
from tench.launcher.preflight.pod_groups import PodGroup, total_requests
from tench.launcher.preflight.quantity import Resources, add, parse, show

GROUP = "/apis/kueue.x-k8s.io"


def check_queue(kube: Kube, rayjob: Object, groups: Sequence[PodGroup]) -> list[Finding]:
    """Nothing where the run names no queue."""
    labels = rayjob["metadata"]["labels"]
    name = labels.get(QUEUE_NAME)
    if name is None:
        return []
    version = (kube.get(GROUP).get("preferredVersion") or {}).get("version")
    if version is None:
        return [warning("queue", f"Kueue is not installed: nobody heeds queue.name {name}, and the run starts at once")]
    root = f"{GROUP}/{version}"
    local = kube.get(f"{root}/namespaces/{kube.namespace}/localqueues/{name}")
    if not local:
        found = kube.items(f"{root}/namespaces/{kube.namespace}/localqueues")
        names = ", ".join(sorted(each["metadata"]["name"] for each in found)) or "none"
        text = f"there is no LocalQueue {name} in {kube.namespace} ({names}), so the run would wait for ever"
        return [error("queue", f"{text}; change queue.name")]
    cluster_queue = local["spec"]["clusterQueue"]
    queue = kube.get(f"{root}/clusterqueues/{cluster_queue}")
    return [
        *_state(name, local, cluster_queue, queue),
        *_quota(cluster_queue, queue, groups),
        *_priority(kube, root, labels.get(PRIORITY_CLASS)),
    ]


def _state(name: str, local: Object, cluster_queue: str, queue: Object) -> list[Finding]:
    if not queue:
        text = f"the LocalQueue {name} leads to the ClusterQueue {cluster_queue}, and there is none"
        return [error("queue", f"{text}; ask who runs Kueue")]
    for kind, what, each in (("LocalQueue", name, local), ("ClusterQueue", cluster_queue, queue)):
        stopped = each["spec"].get("stopPolicy", "None")
        if stopped != "None":
            return [
                error("queue", f"the {kind} {what} is stopped ({stopped}); ask who runs Kueue, or use another queue")
            ]
        if inactive := _inactive(each):
            return [error("queue", f"the {kind} {what} is not active: {inactive}; ask who runs Kueue")]
    pending = int(local.get("status", {}).get("pendingWorkloads", 0))
    ahead = f"{counted(pending, 'run')} wait before this one" if pending else "nothing waits there"
    return [ok("queue", f"{name} of the ClusterQueue {cluster_queue}: {ahead}")]


def _inactive(queue: Object) -> str | None:
    conditions = queue.get("status", {}).get("conditions") or []
    return next((each.get("message", each["reason"]) for each in conditions if _is_inactive(each)), None)


def _is_inactive(condition: Object) -> bool:
    return bool(condition["type"] == "Active" and condition["status"] == "False")


def _quota(name: str, queue: Object, groups: Sequence[PodGroup]) -> list[Finding]:
    """Whether the whole of its quota would do; in a cohort, what it may borrow is not counted, and so no error."""
    if not queue:
        return []
    covered = {each for group in queue["spec"].get("resourceGroups") or [] for each in group["coveredResources"]}
    most, wanted = _nominal(queue), total_requests(groups)
    uncovered = sorted(key for key, amount in wanted.items() if amount and key not in covered)
    if uncovered:
        # Kueue counts what it has a quota for, and refuses a workload that asks for anything else.
        text = f"the ClusterQueue {name} has no quota for {', '.join(uncovered)}, so the run is never admitted"
        return [error("queue", f"{text}; ask who runs Kueue for one, or to leave it out (excludeResourcePrefixes)")]
    short = [key for key in sorted(covered) if wanted.get(key, Decimal(0)) > most.get(key, Decimal(0))]
    text = ", ".join(
        f"{show(key, most[key])} of {key} where the run asks for {show(key, wanted[key])}" for key in short
    )
    if not short:
        return []
    if queue["spec"].get("cohort") or queue["spec"].get("cohortName"):
        return [warning("queue", f"the ClusterQueue {name} itself has {text}; the rest it has to borrow in its cohort")]
    return [error("queue", f"the ClusterQueue {name} has {text}, so the run is never admitted; ask for less")]


def _nominal(queue: Object) -> Resources:
    return add(
        *(
            {resource["name"]: parse(resource["nominalQuota"])}
            for group in queue["spec"].get("resourceGroups") or []
            for flavor in group["flavors"]
            for resource in flavor["resources"]
        )
    )


def _priority(kube: Kube, root: str, name: str | None) -> list[Finding]:
    if name is None or kube.get(f"{root}/workloadpriorityclasses/{name}"):
        return []
    return [error("queue", f"there is no WorkloadPriorityClass {name}; change queue.priorityClass")]
