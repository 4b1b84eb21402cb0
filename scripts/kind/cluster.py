"""The kind cluster: one node, KubeRay and an S3 server."""

import json
import string
import subprocess
from pathlib import Path

from scripts.kind.commands import output, run, step, succeeds
from scripts.kind.data import upload
from scripts.kind.image import build, load, load_other, weigh
from scripts.kind.settings import (
    ACCESS_KEY,
    BUILD,
    CLUSTER,
    KUBECONFIG,
    KUBERAY_MANIFEST,
    KUBERAY_OPERATOR_IMAGE,
    NODE,
    NODE_IMAGE,
    OBJECT_STORE_IMAGE,
    OBJECT_STORE_NAMESPACE,
    OBJECT_STORE_PORT,
    SECRET_KEY,
)

OPERATOR_NAMESPACE = "default"  # so has KubeRay's own config/default
FAKE_GPUS = 4


def up() -> None:
    """From nothing, or from what an earlier call kept, to a cluster that runs can be installed in."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with step("building the image"):
        build()
    weigh()
    with step("the kind cluster"):
        _create()
    with step("KubeRay"):
        _install_kuberay()
    with step("the object store"):
        _install_object_store()
    with step("loading the image"):
        load()
    with step("uploading the demo"):
        upload(store_endpoint())


def down() -> None:
    run("kind", "delete", "cluster", "--name", CLUSTER)


def store_endpoint() -> str:
    """Where this machine reaches the object store."""
    published = output("docker", "port", NODE, str(OBJECT_STORE_PORT)).splitlines()[0]
    return f"http://127.0.0.1:{published.rpartition(':')[2]}"


def advertise_gpus(count: int = FAKE_GPUS) -> None:
    """Makes the node say it has GPUs. Pods that ask for them are placed, and find no CUDA device."""
    patch = [{"op": "add", "path": "/status/capacity/nvidia.com~1gpu", "value": str(count)}]
    run("kubectl", "patch", "node", NODE, "--subresource=status", "--type=json", "-p", json.dumps(patch))


def _create() -> None:
    if CLUSTER in output("kind", "get", "clusters").split():
        subprocess.run(["docker", "start", NODE], check=True, capture_output=True)
        run("kind", "export", "kubeconfig", "--name", CLUSTER, "--kubeconfig", str(KUBECONFIG))
        return
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "extraPortMappings": [_port(OBJECT_STORE_PORT)]}],
    }
    where = ("--name", CLUSTER, "--kubeconfig", str(KUBECONFIG))
    run(
        *("kind", "create", "cluster", *where, "--image", NODE_IMAGE, "--wait", "120s", "--config", "-"),
        stdin=json.dumps(config),
    )


def _port(port: int) -> dict[str, object]:
    return {"containerPort": port, "hostPort": 0, "listenAddress": "127.0.0.1"}


def _install_kuberay() -> None:
    if succeeds("kubectl", "get", "deployment", "--namespace", OPERATOR_NAMESPACE, "kuberay-operator"):
        return
    load_other(KUBERAY_OPERATOR_IMAGE)
    kind = "--filename" if Path(KUBERAY_MANIFEST).is_file() else "--kustomize"
    # The CRDs are larger than the annotation that a client-side apply keeps them in.
    run("kubectl", "apply", "--server-side", kind, KUBERAY_MANIFEST)
    run(
        "kubectl",
        "rollout",
        "status",
        "--namespace",
        OPERATOR_NAMESPACE,
        "--timeout=180s",
        "deployment/kuberay-operator",
    )


def _install_object_store() -> None:
    load_other(OBJECT_STORE_IMAGE)
    text = Path(__file__).with_name("object-store.yaml").read_text(encoding="utf-8")
    values = {
        "namespace": OBJECT_STORE_NAMESPACE,
        "image": OBJECT_STORE_IMAGE,
        "port": str(OBJECT_STORE_PORT),
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
    }
    run("kubectl", "apply", "--filename", "-", stdin=string.Template(text).substitute(values))
    run("kubectl", "rollout", "status", "--namespace", OBJECT_STORE_NAMESPACE, "--timeout=120s", "deployment/store")
