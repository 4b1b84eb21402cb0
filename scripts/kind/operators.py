"""KubeRay and Kueue in the kind cluster. A second call finds them as the first left them, and replaces no pod."""

import os
import string
import time
from pathlib import Path

from job.errors import RunFailed
from scripts.kind.commands import output, run, succeeds
from scripts.kind.image import load_other
from scripts.kind.settings import (
    BUILD,
    CLUSTER,
    KUBERAY_MANIFEST,
    KUBERAY_OPERATOR_IMAGE,
    KUEUE_IMAGE,
    KUEUE_MANIFEST,
)

KUBERAY_NAMESPACE = "default"  # so has KubeRay's own config/default
KUEUE_NAMESPACE = "kueue-system"
WEBHOOK_PATIENCE_S = 120.0
# The CRDs are larger than the annotation that a client-side apply keeps them in.
_APPLY = ("kubectl", "apply", "--server-side")


def install_operators() -> None:
    """Raises CalledProcessError, RunFailed."""
    load_other(KUBERAY_OPERATOR_IMAGE)
    load_other(KUEUE_IMAGE)
    _await_webhooks()
    kind = "--filename" if KUBERAY_MANIFEST.endswith((".yaml", ".yml")) else "--kustomize"
    run(*_APPLY, kind, KUBERAY_MANIFEST)
    run(*_APPLY, "--filename", "-", stdin=_kueue())
    # Beside what Kubernetes asks for, a node of two cores has little room for what KubeRay asks at each worker's start.
    run("kubectl", "scale", "--namespace", "kube-system", "deployment/coredns", "--replicas=1")
    await_rollout(KUBERAY_NAMESPACE, "kuberay-operator")
    await_rollout(KUEUE_NAMESPACE, "kueue-controller-manager")
    _await_webhooks()


def await_rollout(namespace: str, deployment: str) -> None:
    run("kubectl", "rollout", "status", "--namespace", namespace, "--timeout=180s", f"deployment/{deployment}")


def _kueue() -> str:
    """Its manifest with our changes in it: had another command made them, the next apply would conflict with that."""
    folder = BUILD / "kueue"
    folder.mkdir(parents=True, exist_ok=True)
    # Kustomize takes paths that are relative to its folder, and URLs.
    path = Path(KUEUE_MANIFEST)
    manifest = os.path.relpath(path.resolve(), folder.resolve()) if path.exists() else KUEUE_MANIFEST
    text = Path(__file__).with_name("kueue.yaml").read_text(encoding="utf-8")
    (folder / "kustomization.yaml").write_text(string.Template(text).substitute(manifest=manifest), encoding="utf-8")
    return output("kubectl", "kustomize", "--load-restrictor=LoadRestrictionsNone", str(folder))


def _await_webhooks() -> None:
    """Kueue's are asked for every Deployment, KubeRay's too; each is refused until they answer, seconds after a node's
    start. Raises RunFailed."""
    probe = ("kubectl", "create", "deployment", "probe", "--image=probe", "--dry-run=server")
    deadline = time.monotonic() + WEBHOOK_PATIENCE_S
    while not succeeds(*probe):
        if time.monotonic() > deadline:
            raise RunFailed(
                f"no Deployment can be made, for {WEBHOOK_PATIENCE_S:.0f} s: {' '.join(probe)} says why; "
                f"if a kept cluster is beyond help, kind delete cluster --name {CLUSTER}"
            )
        time.sleep(1)
