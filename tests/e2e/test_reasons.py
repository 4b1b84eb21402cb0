"""Runs that do not move: `tench status` and `tench watch` say why, and what to do."""

import json

import pytest
from e2e_jobs import CLASSIFY
from e2e_kube import merge, wait_for

# Side by side on one small node.
SMALL = {
    "job": merge(CLASSIFY, {"compute": {"concurrency": 1}, "source": {"limit": 100}}),
    "head": {"memory": "700Mi", "sharedMemory": "128Mi"},
    "workers": {"memory": "700Mi", "sharedMemory": "128Mi"},
    "deadlines": {"preRunningSeconds": 900, "activeSeconds": 1200},
}
NOWHERE = "example.invalid/no-such-image"
CAUSES = {
    "selector": (
        {"workers": {"nodeSelector": {"tench.example/gpu": "h200"}}},
        "unschedulable",
        ["1 worker cannot be placed", "node(s) didn't match Pod's node affinity/selector"],
        ["workers.nodeSelector", "{'tench.example/gpu': 'h200'}"],
    ),
    "image": (
        {"image": {"repository": NOWHERE, "pullPolicy": "IfNotPresent"}},
        "image",
        ["the head and 1 worker cannot pull its image", NOWHERE, "no such host"],
        ["image.repository", "image.pullSecrets"],
    ),
    "secret": (
        {"storage": {"secret": "not-there"}},
        "secret",
        ["the head cannot start", 'secret "not-there" not found'],
        ["create secret generic not-there", "storage.secret"],
    ),
    "crash": (
        {"env": [{"name": "PYTHONHOME", "value": "/nowhere"}]},
        "crash",
        ["the head ended with exit code 1; its last lines:", "No module named 'encodings'"],
        ["logs crash-", "--previous"],
    ),
    "memory": (
        {"head": {"memory": "256Mi"}},
        "memory",
        ["the head ran out of memory (OOMKilled)", "256Mi"],
        ["head.memory"],
    ),
}


@pytest.fixture(scope="module", autouse=True)
def releases(shared_namespace):
    for cause, (values, *_) in CAUSES.items():
        shared_namespace.install(cause, merge(SMALL, {"job": {"name": cause}}, values))


def reason(tench, cause):
    """The first of the cause's kind, as soon as it is told."""
    kind = CAUSES[cause][1]

    def told():
        status = json.loads(tench("status", cause, "-o", "json").stdout)
        return next((each for each in status["reasons"] if each["kind"] == kind), None)

    return wait_for(f"a reason of {cause}", told, timeout_s=300)


@pytest.mark.parametrize("cause", CAUSES)
def test_status_says_why_and_what_to_do(tench, cause):
    found, (_, _, words, ways) = reason(tench, cause), CAUSES[cause]
    assert [word for word in words if word not in found["text"]] == []
    assert [way for way in ways if way not in found["way_out"]] == []
    screen = " ".join(tench("status", cause).stdout.split())
    assert "starting" in screen
    assert f"why {words[0]}" in screen
    assert ways[0] in screen.partition(" fix ")[2]


@pytest.mark.parametrize("cause", CAUSES)
def test_watch_says_why_and_leaves_the_run_alone(tench, cause):
    reason(tench, cause)
    done = tench("watch", cause, "--timeout", "8")
    assert done.returncode == 4
    words, ways = CAUSES[cause][2:]
    assert f"why: {words[0]}" in done.stderr
    assert ways[-1] in done.stderr
    assert "the run is starting and goes on" in done.stderr
    assert f"tench watch {cause}-" in done.stderr
