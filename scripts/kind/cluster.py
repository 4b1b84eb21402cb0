"""The kind cluster: one node, KubeRay and an S3 server."""

import json
import string
import subprocess
import time
from pathlib import Path

from scripts.kind.commands import output, run, side_by_side, step, succeeds
from scripts.kind.data import draw, upload
from scripts.kind.image import build, load, load_other, weigh
from scripts.kind.operators import KUBERAY_NAMESPACE, KUEUE_NAMESPACE, await_rollout, install_operators
from scripts.kind.settings import (
    ACCESS_KEY,
    BUILD,
    CLUSTER,
    KUBECONFIG,
    NODE,
    NODE_IMAGE,
    OBJECT_STORE_IMAGE,
    OBJECT_STORE_NAMESPACE,
    OBJECT_STORE_PORT,
    SECRET_KEY,
    TEST_LABEL,
)

NAMESPACES = (KUBERAY_NAMESPACE, KUEUE_NAMESPACE, OBJECT_STORE_NAMESPACE)
FAKE_GPUS = 4
API_PATIENCE_S = 60.0


def up() -> None:
    """From nothing, or from what an earlier call kept, to a cluster that runs can be installed in."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with step("building the image, drawing the demo's images"):
        side_by_side(build, draw)
    weigh()
    with step("the kind cluster"):
        _create()
    with step("loading the image; KubeRay, Kueue, the object store and the demo's images in it"):
        side_by_side(load, _install)


def down() -> None:
    run("kind", "delete", "cluster", "--name", CLUSTER)


def exists() -> bool:
    return CLUSTER in output("kind", "get", "clusters").split()


def remove_namespaces() -> None:
    """Those of tests that did not come to their end; the operator still takes the runs apart."""
    run("kubectl", "delete", "namespaces", "--selector", TEST_LABEL, "--wait=false")


def store_endpoint() -> str:
    """Where this machine reaches the object store."""
    published = output("docker", "port", NODE, str(OBJECT_STORE_PORT)).splitlines()[0]
    return f"http://127.0.0.1:{published.rpartition(':')[2]}"


def advertise_gpus(count: int = FAKE_GPUS) -> None:
    """Makes the node say it has GPUs. Pods that ask for them are placed, and find no CUDA device."""
    patch = [{"op": "add", "path": "/status/capacity/nvidia.com~1gpu", "value": str(count)}]
    run("kubectl", "patch", "node", NODE, "--subresource=status", "--type=json", "-p", json.dumps(patch))


def _create() -> None:
    if exists():
        subprocess.run(["docker", "start", NODE], check=True, capture_output=True)
        run("kind", "export", "kubeconfig", "--name", CLUSTER, "--kubeconfig", str(KUBECONFIG))
        _await_api()
        remove_namespaces()
        return
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "extraPortMappings": [_port(OBJECT_STORE_PORT)]}],
    }
    where = ("--name", CLUSTER, "--kubeconfig", str(KUBECONFIG))
    create = ("kind", "create", "cluster", *where, "--image", NODE_IMAGE, "--wait", "120s", "--config", "-")
    try:
        run(*create, stdin=json.dumps(config))
    except BaseException:
        down()  # the next call would take half of one for a cluster
        raise


def _await_api() -> None:
    deadline = time.monotonic() + API_PATIENCE_S
    while not succeeds("kubectl", "get", "--raw", "/readyz") and time.monotonic() < deadline:
        time.sleep(1)
    run("kubectl", "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s")


def _port(port: int) -> dict[str, object]:
    return {"containerPort": port, "hostPort": 0, "listenAddress": "127.0.0.1"}


def _install() -> None:
    with step("KubeRay and Kueue"):
        install_operators()
    with step("the object store"):
        _install_object_store()
    with step("uploading the demo"):
        upload(store_endpoint())


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
    await_rollout(OBJECT_STORE_NAMESPACE, "store")
