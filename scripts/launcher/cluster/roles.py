"""Roles of a run's pods: what the chart calls each in its label, its container and its values."""

from collections.abc import Mapping
from typing import Any

from tench.launcher.cluster.labels import COMPONENT

ROLES = ("head", "submitter", "worker", "decoder", "pod")  # `pod` is one that is none of ours

_VALUES = {"worker": "workers", "decoder": "decoders"}
_CONTAINERS = {"submitter": "ray-job-submitter"}  # KubeRay's own name for it


def role_of(pod: Mapping[str, Any]) -> str:
    role = (pod["metadata"].get("labels") or {}).get(COMPONENT)
    return role if role in ROLES else ROLES[-1]


def container_of(role: str) -> str:
    """The name of the container that does the role's work."""
    return _CONTAINERS.get(role, f"ray-{role}")


def values_of(role: str) -> str:
    """Where the chart's values have the role's settings; the submitter has the head's."""
    return _VALUES.get(role, "head")
