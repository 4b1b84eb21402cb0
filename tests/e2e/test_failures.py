"""Runs that cannot be: each ends Failed within its deadline, and what is said names the cause."""

import json

import pytest
from e2e_jobs import CLASSIFY
from e2e_kube import Namespace, merge

DEADLINE_S = 90
TINY = {"head": {"memory": "600Mi"}, "workers": {"memory": "600Mi"}}  # of pods that never start
CAUSES = {
    "spec": ({"job": {"model": {"name": "resnet51"}}}, "resnet51"),
    "secret": ({"storage": {"secret": "not-there"}, **TINY}, 'secret "not-there" not found'),
    "bucket": ({"job": {"source": {"uri": "s3://no-such-bucket/val/"}}}, "no-such-bucket"),
    "image": (
        {"image": {"repository": "example.invalid/no-such-image", "pullPolicy": "IfNotPresent"}, **TINY},
        "no-such-image",
    ),
}
HURRIED = {"job": merge(CLASSIFY, {"compute": {"concurrency": 1}}), "deadlines": {"preRunningSeconds": DEADLINE_S}}


@pytest.fixture(scope="module")
def releases(store):
    """All of them side by side, each in a namespace of its own: they mostly wait."""
    namespaces = {cause: Namespace(f"failure-{cause}") for cause in CAUSES}
    releases = {}
    for cause, namespace in namespaces.items():
        namespace.create()
        releases[cause] = namespace.install(cause, merge(HURRIED, CAUSES[cause][0]))
    yield releases
    for namespace in namespaces.values():
        namespace.delete()


def what_is_said(release):
    """What `kubectl describe` shows of the RayJob and its pods."""
    said = [json.dumps(release.status())]
    said += [json.dumps(pod["status"]) for pod in release.pods()]
    return "\n".join(said).replace('\\"', '"')


@pytest.mark.parametrize("cause", CAUSES)
def test_it_fails_in_time_and_names_the_cause(releases, cause):
    release = releases[cause]
    release.finished(timeout_s=DEADLINE_S + 150)
    assert release.status()["jobDeploymentStatus"] == "Failed"
    assert CAUSES[cause][1] in what_is_said(release)
