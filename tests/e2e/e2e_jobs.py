"""Specs of the kind test: the demo's three, and one that takes long enough to be disturbed."""

from e2e_kube import merge
from e2e_store import RUNS

from scripts.kind.settings import BUCKET

ROOT = f"s3://{BUCKET}"

CLASSIFY = {
    "name": "classify",
    "source": {
        "uri": f"{ROOT}/images/val/",
        "label_from": "directory",
        "label_names": f"{ROOT}/images/labels.json",
    },
    "model": {
        "kind": "torchvision",
        "name": "shufflenet_v2_x0_5",
        "weights": f"{ROOT}/weights/shufflenet_v2_x0_5.safetensors",
        "labels": f"{ROOT}/weights/labels.json",
    },
    "compute": {"concurrency": 2, "gpus_per_replica": 0, "batch_size": 64},
    "output": {"uri": RUNS, "rows_per_file": 200},
}
VIT = {
    **merge(CLASSIFY, {"name": "vit", "source": {"limit": 400}, "compute": {"concurrency": 1}}),
    "model": {"kind": "transformers", "name": f"{ROOT}/weights/vit/"},
}
DETECT = {
    "name": "detect",
    "source": {"uri": f"{ROOT}/boxes/val/", "limit": 200},
    "model": {
        "kind": "torchvision",
        "task": "detect",
        "name": "ssdlite320_mobilenet_v3_large",
        "weights": f"{ROOT}/weights/ssdlite320_mobilenet_v3_large.safetensors",
        "labels": f"{ROOT}/weights/detector-labels.json",
        "score_threshold": 0.5,
    },
    "compute": {"concurrency": 1, "gpus_per_replica": 0, "batch_size": 16},
    "output": {"uri": RUNS, "rows_per_file": 50},
}
# About thirty images a second on two cores.
LONG = {
    "name": "long",
    "source": {"uri": f"{ROOT}/images/val/", "limit": 600},
    "model": {"kind": "torchvision", "name": "resnet18", "weights": "none", "precision": "float32"},
    "compute": {"concurrency": 2, "gpus_per_replica": 0, "batch_size": 16},
    "output": {"uri": RUNS, "rows_per_file": 30},
}
