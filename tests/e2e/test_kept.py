"""A kept cluster: the next call of the kind test finds it as it was."""

import json

from e2e_kube import call

from scripts.kind.operators import KUBERAY_NAMESPACE, KUEUE_NAMESPACE, install_operators


def test_a_second_call_installs_the_operators_again_and_replaces_no_pod():
    before = {namespace: generations(namespace) for namespace in (KUBERAY_NAMESPACE, KUEUE_NAMESPACE)}
    assert all(before.values())
    install_operators()
    assert {namespace: generations(namespace) for namespace in before} == before


def test_no_api_of_kueue_keeps_a_namespace_from_going():
    assert "kueue" not in call("kubectl", "get", "apiservices", "--output=jsonpath={.items[*].spec.service.namespace}")


def generations(namespace):
    """How often each Deployment has been changed."""
    found = json.loads(call("kubectl", "get", "deployments", "--namespace", namespace, "--output=json"))
    return {each["metadata"]["name"]: each["metadata"]["generation"] for each in found["items"]}
