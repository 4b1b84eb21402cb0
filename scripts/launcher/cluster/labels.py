"""Labels and annotations that Kubernetes objects are known by: each is spelled here, and nowhere else in the launcher.

The chart writes its own in `_names.tpl`, `_pods.tpl` and `rayjob.yaml`; a test holds what it renders against this.
"""

from collections.abc import Mapping

# The chart's.
NAME = "app.kubernetes.io/name"
TENCH = "tench"  # its value on all that the chart makes
INSTANCE = "app.kubernetes.io/instance"  # the Helm release
COMPONENT = "app.kubernetes.io/component"  # a pod's role
RUN_ID = "tench/run-id"
OUTPUT_URI = "tench/output-uri"  # an annotation: a label's value takes no URI
PRICE = "tench/price-per-hour"  # an annotation of pods, as the values give it

# Kueue's, which the chart writes for it.
QUEUE_NAME = "kueue.x-k8s.io/queue-name"
PRIORITY_CLASS = "kueue.x-k8s.io/priority-class"

# KubeRay's, on a cluster's pods; also a key of a RayJob's clusterSelector.
RAY_CLUSTER = "ray.io/cluster"

# KubeRay's operator, as its kustomization and its chart label it, and where its version may stand.
OPERATOR_SELECTOR = f"{NAME} in (kuberay, kuberay-operator)"
VERSION_LABELS = ("app.kubernetes.io/version", "helm.sh/chart")

# Of a namespace.
POD_SECURITY_LEVEL = "pod-security.kubernetes.io/enforce"


def selector(labels: Mapping[str, str]) -> str:
    """Such as `app.kubernetes.io/name=tench,tench/run-id=pets-3f2a9c1e`."""
    return ",".join(f"{key}={value}" for key, value in labels.items())
