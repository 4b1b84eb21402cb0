"""A run that waits for Kueue: its place, and what it waits for."""

from collections.abc import Sequence
from typing import Any

from tench.launcher.cluster.kube import Kube
from tench.launcher.cluster.labels import QUEUE_NAME
from tench.launcher.watch.cluster_run import Run
from tench.launcher.watch.status import Reason

VERSIONS = ("v1beta2", "v1beta1")


def reason_of_queue(kube: Kube, run: Run) -> Reason:
    queue = run.labels.get(QUEUE_NAME, "")
    workloads = _workloads(kube)
    own = next((each for each in workloads if run.uid in _owners(each)), None)
    if own is None:
        text = f"waits in the queue {queue}, which has not taken it up"
        return Reason(kind="queue", text=text, way_out=f"kubectl -n {kube.namespace} get localqueue {queue}")
    words = _words(own)
    text = f"waits in the queue {queue}, place {_place(own, workloads)}{': ' + words if words else ''}"
    look = f"kubectl -n {kube.namespace} describe workload {own['metadata']['name']}"
    return Reason(kind="queue", text=text, way_out=f"wait, or raise queue.priorityClass; {look}")


def _workloads(kube: Kube) -> list[dict[str, Any]]:
    for version in VERSIONS:
        found = kube.get(f"/apis/kueue.x-k8s.io/{version}/namespaces/{kube.namespace}/workloads")
        if found:
            return found.get("items") or []
    return []


def _place(own: dict[str, Any], workloads: Sequence[dict[str, Any]]) -> int:
    """From 1, in Kueue's own order; its visibility API would tell the same, where that is served and may be read."""
    queue = own["spec"].get("queueName")
    waiting = [each for each in workloads if each["spec"].get("queueName") == queue and _waits(each)]
    return 1 + sum(_order(each) < _order(own) for each in waiting)


def _order(workload: dict[str, Any]) -> tuple[int, str]:
    return -workload["spec"].get("priority", 0), workload["metadata"]["creationTimestamp"]


def _waits(workload: dict[str, Any]) -> bool:
    conditions = _conditions(workload)
    had = any(conditions.get(kind, {}).get("status") == "True" for kind in ("QuotaReserved", "Finished"))
    return workload["spec"].get("active", True) and not had


def _conditions(workload: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["type"]: each for each in (workload.get("status") or {}).get("conditions") or []}


def _words(workload: dict[str, Any]) -> str:
    """Kueue's: of an eviction, else of the quota it could not have."""
    conditions = _conditions(workload)
    for kind, bad in (("Evicted", "True"), ("QuotaReserved", "False"), ("Admitted", "False")):
        if conditions.get(kind, {}).get("status") == bad:
            return str(conditions[kind].get("message") or conditions[kind].get("reason") or "")
    return ""


def _owners(workload: dict[str, Any]) -> list[str]:
    return [owner["uid"] for owner in workload["metadata"].get("ownerReferences") or []]
