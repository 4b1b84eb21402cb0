"""KubeRay: is its RayJob known, does its operator run, and which version is it."""

import re
from dataclasses import dataclass
from typing import Any

from job.errors import PreflightError
from tench.launcher.cluster.kube import RAY, Kube, Unreachable
from tench.launcher.cluster.labels import OPERATOR_SELECTOR, VERSION_LABELS
from tench.launcher.preflight.finding import Finding, error, ok, warning

OLDEST, NEWEST = (1, 4), (1, 7)  # that the chart knows
INSTALL = "https://docs.ray.io/en/latest/cluster/kubernetes/getting-started/kuberay-operator-installation.html"
Version = tuple[int, int, int]


@dataclass(frozen=True)
class Operator:
    """`version` is what the chart's `kuberay.version` takes. Both are None where they are not known."""

    version: str | None
    finding: Finding
    namespace: str | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What the chart is told of it, where the user does not say."""
        told: dict[str, Any] = {"kuberay": {"version": self.version}} if self.version else {}
        return told | ({"networkPolicy": {"operatorNamespace": self.namespace}} if self.namespace else {})


def find_operator(kube: Kube) -> Operator:
    """Raises Unreachable."""
    kinds = {each["name"] for each in kube.get(RAY).get("resources", [])}
    if "rayjobs" not in kinds:
        text = f"KubeRay is not installed: the cluster knows no RayJob; install the operator, 1.4 to 1.7: {INSTALL}"
        return Operator(None, error("KubeRay", text))
    try:
        deployments = kube.items("/apis/apps/v1/deployments", labelSelector=OPERATOR_SELECTOR)
    except Unreachable:
        raise
    except PreflightError as refused:
        return Operator(None, warning("KubeRay", f"its version is not known ({refused}); say it in kuberay.version"))
    if not deployments:
        text = "RayJobs are known, and no operator was found; is it installed? Say its version in kuberay.version"
        return Operator(None, warning("KubeRay", text))
    return _judge(deployments[0])


def _judge(deployment: dict[str, Any]) -> Operator:
    metadata = deployment["metadata"]
    name, namespace = f"{metadata['namespace']}/{metadata['name']}", metadata["namespace"]
    version = _version(deployment)
    return Operator(_known(version), _finding(deployment, name, version), namespace)


def _finding(deployment: dict[str, Any], name: str, version: Version | None) -> Finding:
    if not deployment.get("status", {}).get("readyReplicas"):
        text = f"the operator {name} has no pod that is ready, so nothing would start; see: kubectl describe deployment"
        namespace, _, own = name.partition("/")
        return error("KubeRay", f"{text} -n {namespace} {own}")
    if version is None:
        return warning("KubeRay", f"{name} does not tell its version; say it in kuberay.version")
    shown = ".".join(map(str, version))
    if version[:2] < OLDEST:
        return error("KubeRay", f"{name} is {shown}; 1.4 to 1.7 run a job as the chart makes it: {INSTALL}")
    if version[:2] > NEWEST:
        return warning("KubeRay", f"{name} is {shown}, newer than the chart knows; taken for 1.7")
    return ok("KubeRay", f"{shown}, {name}")


def _known(version: Version | None) -> str | None:
    if version is None or version[:2] < OLDEST:
        return None
    # 1.5.0 has the fields of 1.4: its CRD drops authOptions, and Ray would ask for no token.
    minor = (1, 4) if version == (1, 5, 0) else version[:2]
    return ".".join(map(str, min(minor, NEWEST)))


def _version(deployment: dict[str, Any]) -> Version | None:
    """By the image's tag; an image that is named by its digest leaves the labels of helm."""
    labels = deployment["metadata"].get("labels", {})
    images = [each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]]
    tags = [image.partition("@")[0].rpartition(":")[2] for image in images]
    for text in (*tags, *(labels.get(each, "") for each in VERSION_LABELS)):
        if found := re.search(r"(?:^|[v-])(\d+)\.(\d+)\.(\d+)", text):
            return int(found[1]), int(found[2]), int(found[3])
    return None
