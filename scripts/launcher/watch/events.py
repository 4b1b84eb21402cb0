"""What events and the driver's log tell and no object shows: pods that are gone, or never were, and Ray's own kills."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tench.launcher.cluster.kube import last_seen
from tench.launcher.watch.pod_states import NOISE, SECRET
from tench.launcher.watch.status import Reason

LISTED = 3
# By an event's reason: the kind, and the fix.
TELLING = {
    "FailedScheduling": ("unschedulable", "give the pods room, or change nodeSelector, affinity or tolerations"),
    "FailedMount": ("config", "make what the volume names, or change volumes"),
    "FailedToCreateHeadPod": (
        "refused",
        "ask for a larger quota or for less; the Pod Security level may be too strict",
    ),
    "FailedToCreateWorkerPod": (
        "refused",
        "ask for a larger quota or for less; the Pod Security level may be too strict",
    ),
    "InvalidRayJobSpec": ("refused", "correct the values and install again"),
    "Preempted": ("preempted", "it is made again by itself; a higher priorityClassName is preempted later"),
    "Evicted": ("preempted", "ask for as much as the pods use: memory, disk"),
    "NotTriggerScaleUp": ("unschedulable", "no node group of the cluster's autoscaler would fit the pods"),
}
FAILED = (  # Failed has the words of several things
    (re.compile("Failed to pull image"), "image", "correct image.repository, image.tag or image.pullSecrets"),
    (SECRET, "secret", "make the Secret, or name another in storage.secret or env"),
)
RAY_KILLED = re.compile(r"\d+ Workers \(tasks / actors\) killed due to memory pressure \(OOM\)")
KILLED = re.compile(r"Reason:\s*OOMKilled")


def reasons_of_events(events: Iterable[dict[str, Any]]) -> list[Reason]:
    """The last of each kind, the newest first; a pod that was placed in the end was not unschedulable."""
    newest_first = sorted(events, key=last_seen, reverse=True)
    placed = {event["involvedObject"].get("uid") for event in newest_first if event.get("reason") == "Scheduled"}
    found: dict[str, Reason] = {}
    for event in newest_first:
        reason = _reason_of(event)
        if reason and not (reason.kind == "unschedulable" and event["involvedObject"].get("uid") in placed):
            found.setdefault(reason.kind, reason)
    return list(found.values())[:LISTED]


def reasons_of_log(end: str) -> list[Reason]:
    """What the driver's log tells of its workers' processes: Ray ends them before the kernel ends the pod."""
    found = RAY_KILLED.findall(end)
    if not found:
        return []
    text = f"Ray ends work for lack of memory (OOM): {found[-1]}"
    return [Reason(kind="memory", text=text, way_out="raise workers.memory, or lower compute.batch_size")]


def scale_up_of(events: Sequence[dict[str, Any]]) -> list[str]:
    """What the cluster's autoscaler says it does."""
    return [f"a node is on its way: {event['message']}" for event in events if event["reason"] == "TriggeredScaleUp"][
        -1:
    ]


def _reason_of(event: dict[str, Any]) -> Reason | None:
    reason, message = event.get("reason") or "", NOISE.sub("", event.get("message") or "")
    name = event["involvedObject"].get("name")
    if KILLED.search(message):
        return Reason(kind="memory", text=f"{name} was killed, out of memory (OOMKilled)", way_out="raise its memory")
    if reason in TELLING:
        kind, way_out = TELLING[reason]
        return Reason(kind=kind, text=f"{name}: {message}", way_out=way_out)
    for pattern, kind, way_out in FAILED if reason == "Failed" else ():
        if pattern.search(message):
            return Reason(kind=kind, text=f"{name}: {message}", way_out=way_out)
    return None
