"""The namespace: is it there, does its Pod Security level take the pods, do its quotas and limits."""

from collections.abc import Sequence
from decimal import Decimal

from tench.launcher.cluster.kube import Kube, Object
from tench.launcher.cluster.labels import POD_SECURITY_LEVEL
from tench.launcher.preflight.finding import Finding, error, ok, warning
from tench.launcher.preflight.pod_groups import PodGroup, total_limits, total_requests
from tench.launcher.preflight.quantity import Resources, parse_all, show

# What the restricted standard takes; the chart's pods keep the rest of it.
# https://kubernetes.io/docs/concepts/security/pod-security-standards
RESTRICTED_VOLUMES = {
    *(
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
}


def check_namespace(kube: Kube, groups: Sequence[PodGroup]) -> list[Finding]:
    """Raises PreflightError where it may not be read."""
    namespace = kube.get(f"/api/v1/namespaces/{kube.namespace}")
    if not namespace:
        way_out = f"kubectl create namespace {kube.namespace}, or name another with --namespace"
        return [error("namespace", f"there is no namespace {kube.namespace}: {way_out}")]
    return [
        _pod_security(kube.namespace, namespace["metadata"].get("labels", {}).get(POD_SECURITY_LEVEL), groups),
        *_quotas(kube, groups),
        *_limit_ranges(kube, groups),
    ]


def _pod_security(name: str, level: str | None, groups: Sequence[PodGroup]) -> Finding:
    if level in (None, "privileged"):
        return ok("namespace", f"{name}, Pod Security: everything is admitted")
    kinds = {
        (volume["name"], kind) for group in groups for volume in group.spec.get("volumes") or [] for kind in volume
    }
    refused = {
        (volume, kind)
        for volume, kind in kinds - {(volume, "name") for volume, _ in kinds}
        if kind == "hostPath" or (level == "restricted" and kind not in RESTRICTED_VOLUMES)
    }
    if refused:
        shown = ", ".join(f"{volume} ({kind})" for volume, kind in sorted(refused))
        text = f"{name} enforces Pod Security {level}, which refuses the volumes {shown}"
        return error("namespace", f"{text}; use a PersistentVolumeClaim, or another namespace")
    return ok("namespace", f"{name}, Pod Security: {level}, which the pods keep")


def _quotas(kube: Kube, groups: Sequence[PodGroup]) -> list[Finding]:
    quotas = kube.items(f"/api/v1/namespaces/{kube.namespace}/resourcequotas")
    wanted = _wanted(groups)
    return [each for quota in quotas if not _is_scoped(quota) for each in _quota(quota, wanted, groups)]


def _wanted(groups: Sequence[PodGroup]) -> Resources:
    """As quotas name it."""
    requests, limits = total_requests(groups), total_limits(groups)
    plain = {name: amount for name, amount in requests.items() if name in ("cpu", "memory", "ephemeral-storage")}
    return {
        **plain,
        **{f"requests.{name}": amount for name, amount in requests.items()},
        **{f"limits.{name}": amount for name, amount in limits.items()},
        "pods": Decimal(sum(group.count for group in groups)),
        "count/pods": Decimal(sum(group.count for group in groups)),
        "count/rayjobs.ray.io": Decimal(1),
    }


def _is_scoped(quota: Object) -> bool:
    """It counts some pods only: by their priority, deadline or quality of service."""
    return bool(quota["spec"].get("scopes") or quota["spec"].get("scopeSelector"))


def _quota(quota: Object, wanted: Resources, groups: Sequence[PodGroup]) -> list[Finding]:
    name = quota["metadata"]["name"]
    hard, used = parse_all(quota["spec"].get("hard")), parse_all(quota.get("status", {}).get("used"))
    findings = []
    for key, most in hard.items():
        asked = wanted.get(key, Decimal(0))
        if groups and key in ("limits.cpu", "limits.ephemeral-storage") and not _all_limited(key, groups):
            way_out = f"give {', '.join(sorted({group.values for group in groups}))} a resources.{key}"
            findings.append(error("quota", f"{name} counts {key} and refuses pods that have none; {way_out}"))
        elif asked > most:
            text = f"{name} allows {show(key, most)} of {key} and the run asks for {show(key, asked)}"
            findings.append(error("quota", f"{text}; ask for less, or for a larger quota"))
        elif asked and asked > most - used.get(key, Decimal(0)):
            left = show(key, most - used.get(key, Decimal(0)))
            text = f"{name}: {left} of {show(key, most)} {key} is left and the run asks for {show(key, asked)}"
            findings.append(warning("quota", f"{text}; it waits until others end"))
    return findings or [ok("quota", f"{name}: the run fits")]


def _all_limited(key: str, groups: Sequence[PodGroup]) -> bool:
    return all(key.removeprefix("limits.") in group.limits for group in groups)


def _limit_ranges(kube: Kube, groups: Sequence[PodGroup]) -> list[Finding]:
    ranges = kube.items(f"/api/v1/namespaces/{kube.namespace}/limitranges")
    limits = [(each["metadata"]["name"], limit) for each in ranges for limit in each["spec"]["limits"]]
    return [
        error("limits", f"{name}: a pod may have {show(key, most)} of {key}; {_ask(group, key)}; lower {group.values}")
        for name, limit in limits
        if limit["type"] in ("Pod", "Container")
        for key, most in parse_all(limit.get("max")).items()
        for group in groups
        if _most(group, key) > most
    ]


def _ask(group: PodGroup, key: str) -> str:
    return f"a {group.role} pod asks for {show(key, _most(group, key))}"


def _most(group: PodGroup, key: str) -> Decimal:
    return max(group.requests.get(key, Decimal(0)), group.limits.get(key, Decimal(0)))
