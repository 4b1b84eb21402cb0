"""A run that waits for Kueue: its place, and what it waits for."""

from typing import Any

from scripts.launcher.kube import Kube
from scripts.launcher.watching.phase import QUEUE_LABEL
from scripts.launcher.watching.run import Run
from scripts.launcher.watching.status import Reason

VERSIONS = ("v1beta2", "v1beta1")


def reason_of_queue(kube: Kube, run: Run) -> Reason:
    queue = run.labels.get(QUEUE_LABEL, "")
    workloads = _workloads(kube)
    own = next((each for each in workloads if run.uid in _owners(each)), None)
    if own is None:
        text = f"waits in the queue {queue}, which has not taken it up"
        return Reason(kind="queue", text=text, way_out=f"kubectl -n {kube.namespace} get localqueue {queue}")
    position = _position(kube, queue, own["metadata"]["name"])
    place = "" if position is None else f", place {position + 1}"
    words = _words(own)
    text = f"waits in the queue {queue}{place}{': ' + words if words else ''}"
    look = f"kubectl -n {kube.namespace} describe workload {own['metadata']['name']}"
    return Reason(kind="queue", text=text, way_out=f"wait, or raise queue.priorityClass; {look}")


def _workloads(kube: Kube) -> list[dict[str, Any]]:
    for version in VERSIONS:
        found = kube.get(f"/apis/kueue.x-k8s.io/{version}/namespaces/{kube.namespace}/workloads")
        if found:
            return found.get("items") or []
    return []


def _position(kube: Kube, queue: str, workload: str) -> int | None:
    """From 0; None where Kueue's visibility server is not there."""
    for version in VERSIONS:
        path = f"/apis/visibility.kueue.x-k8s.io/{version}/namespaces/{kube.namespace}/localqueues/{queue}"
        for each in kube.get(f"{path}/pendingworkloads").get("items") or []:
            if each["metadata"]["name"] == workload:
                return int(each["positionInLocalQueue"])
    return None


def _words(workload: dict[str, Any]) -> str:
    """Kueue's: of an eviction, else of the quota it could not have."""
    conditions = {each["type"]: each for each in (workload.get("status") or {}).get("conditions") or []}
    for kind, bad in (("Evicted", "True"), ("QuotaReserved", "False"), ("Admitted", "False")):
        if conditions.get(kind, {}).get("status") == bad:
            return str(conditions[kind].get("message") or conditions[kind].get("reason") or "")
    return ""


def _owners(workload: dict[str, Any]) -> list[str]:
    return [owner["uid"] for owner in workload["metadata"].get("ownerReferences") or []]
