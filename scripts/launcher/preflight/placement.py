"""Placement: whether a node would take a pod at all, as the scheduler's filters see it, its free resources apart.

Affinity to other pods and topology spread are not looked at: they depend on what runs when the pod comes.
"""

from collections.abc import Mapping, Sequence

from tench.launcher.cluster.kube import Object


def why_not(node: Object, pod: Object, values: str) -> str | None:
    """Why a node takes no such pod, None where it does; `values` names the pod's part of the chart's values."""
    labels = node["metadata"].get("labels", {})
    for key, wanted in (pod.get("nodeSelector") or {}).items():
        if labels.get(key) != wanted:
            return f"not the label {key}={wanted} of {values}.nodeSelector"
    required = ((pod.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if required and not any(_term_matches(term, node) for term in required["nodeSelectorTerms"]):
        return f"not what {values}.affinity requires"
    for taint in node["spec"].get("taints") or []:
        if taint["effect"] != "PreferNoSchedule" and not _tolerates(pod.get("tolerations") or [], taint):
            return f"the taint {show_taint(taint)}, which {values}.tolerations does not tolerate"
    return None


def show_taint(taint: Object) -> str:
    """Such as `gpu=yes:NoSchedule`."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _term_matches(term: Object, node: Object) -> bool:
    """A term without expressions matches no node."""
    labels, fields = node["metadata"].get("labels", {}), {"metadata.name": node["metadata"]["name"]}
    expressions = [(each, labels) for each in term.get("matchExpressions") or []]
    expressions += [(each, fields) for each in term.get("matchFields") or []]
    return bool(expressions) and all(_matches(each, values) for each, values in expressions)


def _matches(expression: Object, labels: Mapping[str, str]) -> bool:
    operator, values = expression["operator"], expression.get("values") or []
    value = labels.get(expression["key"])
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) is (operator == "Exists")
    if operator in ("In", "NotIn"):
        return (value in values) is (operator == "In")
    if value is None or not value.lstrip("-").isdigit():
        return False
    difference = int(value) - int(values[0])
    return difference > 0 if operator == "Gt" else difference < 0


def _tolerates(tolerations: Sequence[Object], taint: Object) -> bool:
    return any(_tolerates_one(each, taint) for each in tolerations)


def _tolerates_one(toleration: Object, taint: Object) -> bool:
    """https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration"""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value", "")) == (taint["key"], taint.get("value", ""))
