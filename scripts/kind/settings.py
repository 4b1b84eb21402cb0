"""Settings of the kind test: what an environment variable names, and else public images and manifests, pinned."""

import os
from pathlib import Path

BUILD = Path("build/kind")
FAILURES = BUILD / "failures"
KUBECONFIG = (BUILD / "kubeconfig").resolve()
CLUSTER = os.environ.get("KIND_CLUSTER", "tench")
NODE = f"{CLUSTER}-control-plane"

NODE_IMAGE = os.environ.get(
    "KIND_NODE_IMAGE", "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"
)
BASE_IMAGE = os.environ.get("BASE_IMAGE", "debian:bookworm-slim")
# The operator with its CRDs: a file, a URL of one, or what `kubectl apply --kustomize` takes.
KUBERAY_MANIFEST = os.environ.get(
    "KUBERAY_MANIFEST", "github.com/ray-project/kuberay/ray-operator/config/default?ref=v1.6.1"
)
KUBERAY_OPERATOR_IMAGE = os.environ.get("KUBERAY_OPERATOR_IMAGE", "quay.io/kuberay/operator:v1.6.1")
KUEUE_MANIFEST = os.environ.get(
    "KUEUE_MANIFEST", "https://github.com/kubernetes-sigs/kueue/releases/download/v0.15.0/manifests.yaml"
)
KUEUE_IMAGE = os.environ.get("KUEUE_IMAGE", "registry.k8s.io/kueue/kueue:v0.15.0")
OBJECT_STORE_IMAGE = os.environ.get("OBJECT_STORE_IMAGE", "versity/versitygw:v1.8.0")

IMAGE = "tench:kind"
TEST_LABEL = "app.kubernetes.io/managed-by=tench-kind-test"  # of the tests' namespaces
OBJECT_STORE_NAMESPACE = "object-store"
OBJECT_STORE_PORT = 30070
ACCESS_KEY, SECRET_KEY = "tench-test", "tench-test-secret"  # of a store that lives as long as the test
BUCKET = "tench"
INSIDE_ENDPOINT = f"http://store.{OBJECT_STORE_NAMESPACE}:7070"
