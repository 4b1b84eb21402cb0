"""A small cluster's JSON, as its API server tells it, and a run rendered by the real helm."""

import copy
import datetime

import pytest

from job.spec.spec import JobSpec
from tench.launcher.cluster.helm import CHART, ChartValues, Helm
from tench.launcher.cluster.release import render_release

SPEC = {
    "name": "pets",
    "source": {"uri": "s3://images/pets/"},
    "model": {"kind": "torchvision", "name": "resnet18"},
    "compute": {"concurrency": 2, "gpus_per_replica": 1},
    "output": {"uri": "s3://results/runs", "rows_per_file": 100},
}
GPU = "nvidia.com/gpu"
TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
NODES, PODS = "/api/v1/nodes", "/api/v1/pods"
HOME = "/api/v1/namespaces/vision"
OPERATORS = "/apis/apps/v1/deployments"


def node(name="node", cpu="32", memory="128Gi", gpus=0, labels=None, taints=(), **spec):
    allocatable = {"cpu": cpu, "memory": memory, "ephemeral-storage": "500Gi", "pods": "110"}
    allocatable |= {GPU: str(gpus)} if gpus else {}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {"taints": list(taints), **spec},
        "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def pod(on="node", owner="ReplicaSet", **requests):
    requests = {key.replace("gpu", GPU): value for key, value in requests.items()}
    return {
        "metadata": {"name": "other", "ownerReferences": [{"kind": owner}]},
        "spec": {"nodeName": on, "containers": [{"name": "c", "resources": {"requests": requests}}]},
    }


def operator(image="quay.io/kuberay/operator:v1.6.1", ready=1):
    return {
        "metadata": {"name": "kuberay-operator", "namespace": "kuberay-system", "labels": {}},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"readyReplicas": ready},
    }


def items(*objects):
    return {"items": [copy.deepcopy(each) for each in objects]}


def cluster(**changes):
    """A healthy one with room for the run; changes are by path."""
    return {
        "/apis/ray.io/v1": {"resources": [{"name": "rayjobs"}, {"name": "rayclusters"}]},
        "/apis/ray.io/v1/namespaces/vision/rayjobs": items(),
        OPERATORS: items(operator()),
        NODES: items(node(gpus=2)),
        PODS: items(),
        HOME: {"metadata": {"name": "vision", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
        f"{HOME}/resourcequotas": items(),
        f"{HOME}/limitranges": items(),
        f"{HOME}/serviceaccounts/default": {"metadata": {"name": "default"}},
        **changes,
    }


def ago(seconds):
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def rayjob(output_uri="/nowhere/runs", run_id="pets-3f2a9c1e", release="pets", labels=None, spec=None, **status):
    return {
        "metadata": {
            "name": f"{release}-07169639",
            "uid": "7f806aae-b150-494e-8f16-174b6f884ea8",
            "creationTimestamp": ago(60),
            "labels": {
                "app.kubernetes.io/name": "tench",
                "app.kubernetes.io/instance": release,
                "tench/run-id": run_id,
                **(labels or {}),
            },
            "annotations": {"tench/output-uri": str(output_uri)},
        },
        "spec": {"backoffLimit": 2, "rayClusterSpec": {"workerGroupSpecs": [{"replicas": 2}]}, **(spec or {})},
        "status": {"startTime": ago(50), "rayClusterName": f"{release}-07169639-744zz", **status},
    }


needs_helm = pytest.mark.helm


def release(*sets, spec=SPEC, run_id=None):
    """Rendered with `--set` of each."""
    values = ChartValues(str(CHART), (), sets, {}, {})
    return render_release(Helm(None, "vision"), JobSpec.model_validate(spec), run_id, values)
