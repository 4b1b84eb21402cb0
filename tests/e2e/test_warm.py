"""A warm cluster and the runs on it: no new pods for the second, nor for one that is complete or that cannot be."""

import pytest
from e2e_jobs import CLASSIFY, LONG, VIT
from e2e_kube import Namespace, Release, merge, wait_for
from e2e_store import PREFIX
from e2e_tench import run_here

# A shard of a batch, so that the first shard is the first batch.
SMALL = {"compute": {"concurrency": 1}, "source": {"limit": 400}, "output": {"rows_per_file": 64}}
CLUSTER = {"mode": "cluster", "workers": {"replicas": 1, "gpus": 0}}
ONE_REPLICA = merge(CLASSIFY, SMALL)


@pytest.fixture(scope="module")
def warm(shared_namespace):
    shared_namespace.install("warm", CLUSTER)
    state = lambda: shared_namespace.items("rayclusters")[0].get("status", {}).get("state")  # noqa: E731
    wait_for("the cluster", lambda: state() == "ready")
    return shared_namespace


def pods_of(warm: Namespace):
    return {pod["metadata"]["uid"] for pod in warm.items("pods")}


@pytest.fixture
def same_pods(warm: Namespace):
    before = pods_of(warm)
    assert len(before) == 2
    yield
    assert pods_of(warm) == before


def run(warm, name, job, **values) -> Release:
    return warm.install(name, {"job": job, "cluster": "warm", **values})


def test_two_runs_one_after_the_other(warm, same_pods, store, record_property):
    waits_s = []
    for name in ("monday", "tuesday"):
        release = run(warm, name, ONE_REPLICA)
        release.succeeded()
        assert store.success(release.run_id())["rows"] == 400
        waits_s.append(release.start_of_job_s(store)["first rows committed"])
    record_property("seconds from `helm install` to the first batch, of the first run and of the second", waits_s)


def results(store, release):
    """All of the run's objects but the drivers' logs: each attempt leaves its own."""
    found = store.objects(f"{PREFIX}/{release.run_id()}/")
    return {key: entry for key, entry in found.items() if "/logs/" not in key}


def test_a_run_that_is_complete_ends_at_once_when_it_is_made_again(warm, same_pods, store, record_property):
    release = Release(warm, "monday")
    before = results(store, release)
    release.uninstall()
    release = run(warm, "monday", ONE_REPLICA)
    status = release.succeeded()
    assert results(store, release) == before
    started, ended = (release.since_created_s(status["rayJobInfo"][key]) for key in ("startTime", "endTime"))
    record_property("seconds of its driver", ended - started)


def test_a_vision_transformer_from_a_folder_of_the_bucket(warm, same_pods, store, tmp_path):
    release = run(warm, "vit", VIT)
    release.succeeded()
    there, here = (store.predictions(run) for run in (release.run_id(), run_here(VIT, store, tmp_path)))
    assert there.select(["uri", "label"]).equals(here.select(["uri", "label"]))


def test_a_spec_that_cannot_be_run_fails_and_says_what_is_wrong(warm, same_pods, tench):
    release = run(warm, "bad", merge(ONE_REPLICA, {"model": {"name": "resnet51"}}), deadlines={"activeSeconds": 120})
    done = tench("watch", "bad")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("  model.name: torchvision has no classification or detection model")
    status = release.finished()
    assert (status["jobDeploymentStatus"], status["jobStatus"]) == ("Failed", "FAILED")
    assert "resnet51" in status["message"]


def test_an_upgrade_replaces_the_pods_and_a_run_on_them_goes_on(warm, store):
    before = pods_of(warm)
    release = run(warm, "upgraded", merge(LONG, {"compute": {"concurrency": 1}}))
    wait_for("a shard", lambda: store.shards(release.run_id()))
    warm.install("warm", {**CLUSTER, "env": [{"name": "NEW", "value": "1"}]})
    release.succeeded()
    assert len(pods_of(warm) - before) == 2
    log = "\n".join(store.driver_logs(release.run_id()))
    assert f"resuming run {release.run_id()}" in log
    assert store.success(release.run_id())["rows"] == 600
