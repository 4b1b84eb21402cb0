"""References: what the run names and does not bring, such as Secrets, the service account, the warm cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from job.errors import PreflightError
from tench.launcher.cluster.kube import RAY, Kube, Object, Unreachable
from tench.launcher.cluster.labels import RAY_CLUSTER
from tench.launcher.preflight.finding import Finding, error, ok, warning
from tench.launcher.preflight.pod_groups import PodGroup

_CORE = "/api/v1/namespaces/{namespace}/"
_PATHS = {
    "Secret": _CORE + "secrets/{name}",
    "ConfigMap": _CORE + "configmaps/{name}",
    "PersistentVolumeClaim": _CORE + "persistentvolumeclaims/{name}",
    "ServiceAccount": _CORE + "serviceaccounts/{name}",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses/{name}",
    "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses/{name}",
}


@dataclass(frozen=True, order=True)
class Reference:
    """An object by its kind and name; `where` is where the values name it."""

    kind: str
    name: str
    where: str


def check_references(
    kube: Kube, objects: Sequence[Object], rayjob: Object, groups: Sequence[PodGroup]
) -> list[Finding]:
    """A finding for each object that is named, and for a warm cluster."""
    brought = {(each["kind"], each["metadata"]["name"]) for each in objects}
    named = sorted({each for group in groups for each in _references(group)} | set(_auth(rayjob)))
    findings = [_look(kube, each) for each in named if (each.kind, each.name) not in brought]
    return [*findings, *_warm_cluster(kube, rayjob)]


def _look(kube: Kube, reference: Reference) -> Finding:
    kind, name = reference.kind, reference.name
    what = f"{kind} {name}"
    try:
        found = kube.get(_PATHS[kind].format(namespace=kube.namespace, name=name))
    except Unreachable:
        raise
    except PreflightError as refused:
        return warning("references", f"{what} was not looked for: {refused}")
    if found:
        return ok("references", f"{what} is there")
    namespace = "" if kind in ("PriorityClass", "RuntimeClass") else f" in the namespace {kube.namespace}"
    return error("references", f"there is no {what}{namespace}; make it, or change {reference.where}")


def _references(group: PodGroup) -> Iterator[Reference]:
    spec = group.spec
    for container in spec["containers"]:
        yield from _of_environment(container)
    for volume in spec.get("volumes") or []:
        yield from _of_volume(volume)
    for each in spec.get("imagePullSecrets") or []:
        yield Reference("Secret", each["name"], "image.pullSecrets")
    yield Reference("ServiceAccount", spec.get("serviceAccountName") or "default", "serviceAccount.name")
    for key, kind in (("priorityClassName", "PriorityClass"), ("runtimeClassName", "RuntimeClass")):
        if spec.get(key):
            yield Reference(kind, spec[key], f"{group.values}.{key}")


def _of_environment(container: Object) -> Iterator[Reference]:
    for each in container.get("envFrom") or []:
        for key, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            if key in each and not each[key].get("optional"):
                yield Reference(kind, each[key]["name"], "storage.secret")
    for each in container.get("env") or []:
        source = each.get("valueFrom") or {}
        for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if key in source and not source[key].get("optional"):
                yield Reference(kind, source[key]["name"], "env")


def _of_volume(volume: Object) -> Iterator[Reference]:
    for key, kind, field in (
        ("secret", "Secret", "secretName"),
        ("configMap", "ConfigMap", "name"),
        ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
    ):
        if key in volume and not volume[key].get("optional"):
            yield Reference(kind, volume[key][field], "volumes")


def _auth(rayjob: Object) -> Iterator[Reference]:
    secret = (rayjob["spec"].get("rayClusterSpec") or {}).get("authOptions", {}).get("secretName")
    if secret:
        yield Reference("Secret", secret, "auth.secret")


def _warm_cluster(kube: Kube, rayjob: Object) -> list[Finding]:
    name = (rayjob["spec"].get("clusterSelector") or {}).get(RAY_CLUSTER)
    if name is None:
        return []
    cluster = kube.raycluster(name)
    if not cluster:
        clusters = kube.items(f"{RAY}/namespaces/{kube.namespace}/rayclusters")
        names = ", ".join(sorted(each["metadata"]["name"] for each in clusters)) or "none"
        return [
            error(
                "cluster", f"there is no RayCluster {name} in {kube.namespace} ({names}); install it, or change cluster"
            )
        ]
    state = cluster.get("status", {}).get("state") or "not ready yet"
    if state != "ready":
        return [warning("cluster", f"the RayCluster {name} is {state}; the run waits until it is ready")]
    return [ok("cluster", f"the RayCluster {name} is ready")]
