"""KubeRay: is its RayJob known, does its operator run, and which version is it."""

import re
from dataclasses import dataclass
from typing import Any

from job.errors import PreflightError
from scripts.launcher.kube import RAY, Kube, Unreachable
from scripts.launcher.preflight.finding import Finding, error, ok, warning

OLDEST, NEWEST = (1, 4), (1, 7)  # that the chart knows
INSTALL = "https://docs.ray.io/en/latest/cluster/kubernetes/getting-started/kuberay-operator-installation.html"
# The name that KubeRay's kustomization gives it, and its chart.
SELECTOR = "app.kubernetes.io/name in (kuberay, kuberay-operator)"


@dataclass(frozen=True)
class Operator:
    """`version` is what the chart's `kuberay.version` takes; None where it is not known."""

    version: str | None
    finding: Finding


def find_operator(kube: Kube) -> Operator:
    """Raises Unreachable."""
    kinds = {each["name"] for each in kube.get(RAY).get("resources", [])}
    if "rayjobs" not in kinds:
        text = f"KubeRay is not installed: the cluster knows no RayJob; install the operator, 1.4 to 1.7: {INSTALL}"
        return Operator(None, error("KubeRay", text))
    try:
        deployments = kube.get("/apis/apps/v1/deployments", labelSelector=SELECTOR).get("items") or []
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
    name = f"{metadata['namespace']}/{metadata['name']}"
    version = _version(deployment)
    if not deployment.get("status", {}).get("readyReplicas"):
        text = f"the operator {name} has no pod that is ready, so nothing would start; see: kubectl describe deployment"
        return Operator(_known(version), error("KubeRay", f"{text} -n {metadata['namespace']} {metadata['name']}"))
    if version is None:
        return Operator(None, warning("KubeRay", f"{name} does not tell its version; say it in kuberay.version"))
    shown = ".".join(map(str, version))
    if version < OLDEST:
        return Operator(
            None, error("KubeRay", f"{name} is {shown}; 1.4 to 1.7 run a job as the chart makes it: {INSTALL}")
        )
    if version > NEWEST:
        return Operator(
            _known(version), warning("KubeRay", f"{name} is {shown}, newer than the chart knows; taken for 1.7")
        )
    return Operator(_known(version), ok("KubeRay", f"{shown}, {name}"))


def _known(version: tuple[int, int] | None) -> str | None:
    return ".".join(map(str, min(version, NEWEST))) if version and version >= OLDEST else None


def _version(deployment: dict[str, Any]) -> tuple[int, int] | None:
    """By the image's tag; an image that is named by its digest leaves the labels of helm."""
    labels = deployment["metadata"].get("labels", {})
    images = [each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]]
    tags = [image.partition("@")[0].rpartition(":")[2] for image in images]
    for text in (*tags, labels.get("app.kubernetes.io/version", ""), labels.get("helm.sh/chart", "")):
        if found := re.search(r"(?:^|[v-])(\d+)\.(\d+)\.\d+", text):
            return int(found[1]), int(found[2])
    return None
