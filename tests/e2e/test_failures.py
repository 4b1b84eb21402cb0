"""Runs that cannot be: each ends Failed within its deadline, and `tench watch` ends with the cause."""

import pytest
from e2e_jobs import CLASSIFY
from e2e_kube import merge

DEADLINE_S = 60
TINY = {"head": {"memory": "600Mi"}, "workers": {"memory": "600Mi"}}  # of pods that never start
NEVER = {**TINY, "deadlines": {"preRunningSeconds": DEADLINE_S}}
CAUSES = {
    "secret": ({"storage": {"secret": "not-there"}, **NEVER}, ["PreRunningDeadline", 'secret "not-there" not found']),
    "image": (
        {"image": {"repository": "example.invalid/no-such-image", "pullPolicy": "IfNotPresent"}, **NEVER},
        ["PreRunningDeadline", " pull ", "example.invalid/no-such-image", "no such host"],
    ),
    "bucket": ({"job": {"source": {"uri": "s3://no-such-bucket/val/"}}}, ["no-such-bucket"]),
}


@pytest.fixture(scope="module")
def watched(shared_namespace, tench):
    """All of them side by side, and whoever watches them: they mostly wait."""
    watched = {}
    for cause, (values, _) in CAUSES.items():
        job = merge(CLASSIFY, {"name": cause, "compute": {"concurrency": 1}})
        release = shared_namespace.install(cause, merge({"job": job, "ttlSecondsAfterFinished": 300}, values))
        watched[cause] = release, tench.start("watch", cause)
    return watched


@pytest.mark.parametrize("cause", CAUSES)
def test_it_fails_in_time_and_names_the_cause(watched, cause, record_property):
    release, watching = watched[cause]
    _, said = watching.communicate(timeout=400)
    assert watching.returncode == 1
    *_, last = said.split("tench: ")
    assert [word for word in CAUSES[cause][1] if word not in last] == [], last
    status = release.finished()
    assert status["jobDeploymentStatus"] == "Failed"
    took_s = release.since_created_s(status["endTime"])
    deadline_s = release.rayjob()["spec"]["preRunningDeadlineSeconds" if cause != "bucket" else "activeDeadlineSeconds"]
    assert took_s <= deadline_s + 30
    record_property("seconds until it failed", f"{took_s}; {last.strip()}")


def test_the_drivers_words_are_kept(watched, tench):
    kept = tench("logs", "bucket")
    assert "no-such-bucket" in kept.stdout.partition("tench: ")[2]
