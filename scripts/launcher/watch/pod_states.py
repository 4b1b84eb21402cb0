"""Pods of a run: their states, and what stands in the way of one, read from its JSON."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from job.terminal.wording import counted
from tench.launcher.cluster.roles import ROLES, role_of, values_of
from tench.launcher.watch.status import Reason, age_s

Pod = dict[str, Any]
LastLines = Callable[[str, str], Sequence[str]]  # of a pod's container that ended

IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
ERROR_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")
SECRET = re.compile(r'secrets? "(?P<name>[^"]+)" not found')
# What the scheduler adds of preemption says nothing of why a pod does not fit.
NOISE = re.compile(r"\s*(no new claims to deallocate, )?preemption: .*", re.DOTALL)
BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*": (ErrImagePull: )?')
LISTED = 5
CRASH_LINES = 5
UNREADY_S = 90.0  # Ray takes 15 to 30 to answer


@dataclass(frozen=True)
class Obstacle:
    """Of one pod; pods with equal ones are told of together, with the fix of the first."""

    kind: str
    words: str
    way_out: str = field(compare=False)
    values: str = ""
    """The chart's values that the fix names, where those of another role need another."""
    container: str | None = field(default=None, compare=False)
    """One that ended, and whose last lines tell why."""
    last_lines: tuple[str, ...] = field(default=(), compare=False)
    """Those that the pod's status keeps; its log is read where there are none."""


def count_states(pods: Iterable[Pod]) -> dict[str, int]:
    return dict(Counter(state_of(pod) for pod in pods).most_common())


def state_of(pod: Pod) -> str:
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "leaving"
    if status.get("phase") in ("Failed", "Succeeded"):
        return "failed" if status["phase"] == "Failed" else "finished"
    if _condition(pod, "Ready").get("status") == "True":
        return "ready"
    return "pending" if not (pod.get("spec") or {}).get("nodeName") else "starting"


def ready_since(pod: Pod) -> str | None:
    return _condition(pod, "Ready").get("lastTransitionTime")


def reasons_of(pods: Iterable[Pod], namespace: str, last_lines: LastLines) -> list[Reason]:
    """What stands in the way of those that are not ready, heads first; one for pods alike."""
    alike: dict[Obstacle, list[Pod]] = {}
    for pod in sorted(pods, key=lambda pod: ROLES.index(role_of(pod))):
        if state_of(pod) not in ("leaving", "finished") and (found := find_obstacle(pod, namespace)):
            alike.setdefault(found, []).append(pod)
    return [
        Reason(kind=each.kind, text=_text(each, alike[each], last_lines), way_out=each.way_out)
        for each in list(alike)[:LISTED]
    ]


def _text(obstacle: Obstacle, pods: Sequence[Pod], last_lines: LastLines) -> str:
    text = f"{_subject(Counter(map(role_of, pods)))} {obstacle.words}"
    lines: Sequence[str] = obstacle.last_lines
    if obstacle.container and not lines:
        lines = last_lines(pods[0]["metadata"]["name"], obstacle.container)
    return "\n  ".join([f"{text}; its last lines:", *lines]) if lines else text


def find_obstacle(pod: Pod, namespace: str) -> Obstacle | None:
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        words = NOISE.sub("", scheduled.get("message") or scheduled.get("reason") or "")
        way_out, values = _way_to_place(pod, words), values_of(role_of(pod))
        return Obstacle("unschedulable", f"cannot be placed: {words}", way_out, values)
    disrupted = _condition(pod, "DisruptionTarget")
    status = pod.get("status") or {}
    if disrupted.get("status") == "True" or status.get("reason") in ("Evicted", "Preempted"):
        words = disrupted.get("message") or status.get("message") or disrupted.get("reason") or "Evicted"
        way_out = "it is made again by itself; what is committed stays. A higher priorityClassName is preempted later"
        return Obstacle("preempted", f"got preempted or evicted: {words}", way_out)
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        found = _of_container(pod, container, namespace)
        if found:
            return found
    return _of_health(pod)


def _of_container(pod: Pod, status: dict[str, Any], namespace: str) -> Obstacle | None:
    role, name = role_of(pod), status["name"]
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason") or "", waiting.get("message") or ""
    if reason in IMAGE_REASONS:
        words = f"cannot pull its image {status.get('image')}: {BACK_OFF.sub('', message) or reason}"
        return Obstacle("image", words, _way_to_pull(reason, message))
    if reason in ERROR_REASONS:
        return _of_start(reason, message, namespace)
    terminated = (
        (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    )
    if terminated.get("reason") == "OOMKilled":
        words = f"ran out of memory (OOMKilled): the limit is {_memory_limit(pod, name)}"
        return Obstacle("memory", words, f"raise {values_of(role)}.memory", values_of(role))
    if terminated.get("exitCode") and (reason == "CrashLoopBackOff" or not status.get("ready")):
        words = f"ended with exit code {terminated['exitCode']}"
        way_out = f"all it said: kubectl -n {namespace} logs {pod['metadata']['name']} -c {name} --previous"
        kept = tuple((terminated.get("message") or "").splitlines()[-CRASH_LINES:])
        return Obstacle("crash", words, way_out, container=name, last_lines=kept)
    return None


def _of_health(pod: Pod) -> Obstacle | None:
    """Ray's processes end one by one before their container does."""
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    started = [((each.get("state") or {}).get("running") or {}).get("startedAt") for each in containers]
    ready = _condition(pod, "Ready")
    if not started or ready.get("status") != "False":
        return None
    unready_s = min(age_s(moment) for moment in (*started, ready.get("lastTransitionTime")))
    if unready_s < UNREADY_S:
        return None
    words = f"runs, and Ray in it has not answered for {unready_s // 60:.0f} min"
    role = role_of(pod)
    way_out = f"if it lacks memory, raise {values_of(role)}.memory; {_way_to_look(pod)}"
    return Obstacle("unhealthy", words, way_out, values_of(role))


def _of_start(reason: str, message: str, namespace: str) -> Obstacle:
    if secret := SECRET.search(message):
        create = f"kubectl -n {namespace} create secret generic {secret['name']} --from-literal=KEY=VALUE"
        way_out = f"make it ({create}), or name another in storage.secret or env"
        return Obstacle("secret", f"cannot start: {message}", way_out)
    way_out = "correct the name, in env, volumes or storage.secret, or make what it names"
    return Obstacle("config", f"cannot start: {message or reason}", way_out)


def _way_to_place(pod: Pod, words: str) -> str:
    group, spec = values_of(role_of(pod)), pod.get("spec") or {}
    ways = []
    if "node affinity/selector" in words:
        ways.append(f"label a node so, or change {group}.nodeSelector or affinity (it is {spec.get('nodeSelector')})")
    if "untolerated taint" in words:
        ways.append(f"add the taint to {group}.tolerations")
    if lacking := re.findall(r"Insufficient ([\w./-]*\w)", words):
        asked = ", ".join(f"{name} {_requested(pod, name)}" for name in dict.fromkeys(lacking))
        ways.append(f"wait for room, add a node, or ask for less in {group} (a pod asks for {asked})")
    return "; ".join(ways) or _way_to_look(pod)


def _way_to_pull(reason: str, message: str) -> str:
    if reason == "ErrImageNeverPull":
        return "image.pullPolicy is Never: load the image onto the nodes, or set IfNotPresent"
    refused = any(word in message for word in ("401", "403", "denied", "unauthorized", "authorization failed"))
    if refused:
        return "name a pull secret of the namespace in image.pullSecrets"
    return "correct image.repository, image.tag or image.digest; a private registry needs image.pullSecrets"


def _way_to_look(pod: Pod) -> str:
    return f"kubectl -n {pod['metadata'].get('namespace')} describe pod {pod['metadata']['name']}"


def _subject(roles: Mapping[str, int]) -> str:
    """`the head and 2 workers`."""
    names = [
        f"the {role}" if role in ("head", "submitter") and pods == 1 else counted(pods, role)
        for role, pods in roles.items()
    ]
    return " and ".join(names)


def _condition(pod: Pod, kind: str) -> dict[str, Any]:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def _memory_limit(pod: Pod, container: str) -> str:
    return str(_resources(pod, container).get("limits", {}).get("memory", "the node's memory"))


def _requested(pod: Pod, resource: str) -> str:
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    return str((containers[0].get("resources") or {}).get("requests", {}).get(resource, "0"))


def _resources(pod: Pod, container: str) -> dict[str, Any]:
    spec = pod.get("spec") or {}
    for each in (spec.get("containers") or []) + (spec.get("initContainers") or []):
        if each["name"] == container:
            return each.get("resources") or {}
    return {}
