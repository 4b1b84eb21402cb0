"""Runs that nothing disturbs, as RayJobs and as this machine does them; one of them from all sides, to its end."""

import json

import pytest
from e2e_jobs import CLASSIFY, DETECT
from e2e_kube import wait_for
from e2e_store import PREFIX, RUNS
from e2e_tench import run_here


@pytest.fixture(scope="module")
def release(shared_namespace):
    return shared_namespace.install("classify", {"job": CLASSIFY})


def test_logs_follow_the_driver_of_two_replicas_from_before_its_start_to_its_end(
    release, tench, store, record_property
):
    following = tench.start("logs", "classify", "--follow")
    release.running()
    assert len(release.pods("worker")) == 2
    start_s = release.start_of_pods_s()
    printed, said = following.communicate(timeout=400)
    assert "2,000 images, 0 failed" in printed, said
    assert printed.rstrip().endswith(f"{RUNS}/{release.run_id()}")
    start_s |= release.start_of_job_s(store)
    told = ", ".join(f"{what} {seconds}" for what, seconds in start_s.items())
    record_property("seconds after the RayJob was made", told)


def test_watch_ends_with_the_run(release, tench):
    done = tench("watch", release.run_id())
    assert (done.returncode, done.stdout.strip()) == (0, f"{RUNS}/{release.run_id()}")
    assert "succeeded: 2,000 of 2,000 images, no failures" in done.stderr
    release.succeeded()


def test_its_rows_labels_and_accuracy_are_those_of_this_machine(release, store, tmp_path, record_property):
    there, here = release.run_id(), run_here(CLASSIFY, store, tmp_path)
    columns = ["uri", "expected", "error", "width", "height", "label", "top_labels"]
    assert store.predictions(there).select(columns).equals(store.predictions(here).select(columns))
    found, expected = store.success(there), store.success(here)
    assert found["rows"] == expected["rows"] == 2000
    assert found["metrics"]["top1"] == expected["metrics"]["top1"] > 0.9
    assert b"<svg" in store.read(f"{PREFIX}/{there}/report.html")
    record_property("seconds of the driver, and of `tench run`", f"{found['seconds']}, {expected['seconds']}")


def test_collect_and_verify_take_its_name(release, tench, tmp_path):
    done = tench("collect", "classify", "--to", str(tmp_path / "here"), "--merge", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    assert "2,000 rows in 1 file" in done.stderr
    assert len((tmp_path / "here" / "predictions.jsonl").read_text().splitlines()) == 2000
    assert tench("verify", release.run_id()).stdout.strip() == f"{RUNS}/{release.run_id()}"


def test_list_and_logs_know_it_when_its_cluster_is_gone(release, tench):
    wait_for("the pods to go", lambda: not release.pods())
    (listed,) = json.loads(tench("list", "-o", "json").stdout)
    assert (listed["run_id"], listed["phase"], listed["complete"]) == (release.run_id(), "succeeded", True)
    assert listed["progress"]["rows_done"] == 2000
    assert f"{release.run_id()}  classify" in tench("list").stdout
    kept = tench("logs", "classify")
    assert "2,000 images, 0 failed" in kept.stdout
    assert tench("logs", f"{RUNS}/{release.run_id()}", "--tail", "1").stdout == f"{RUNS}/{release.run_id()}\n"


def test_a_detector_submitted_by_a_pod(namespace, store, tmp_path):
    release = namespace.install("2-detect", {"job": DETECT, "kuberay": {"submissionMode": "K8sJobMode"}})
    release.succeeded()
    there, here = (store.predictions(run) for run in (release.run_id(), run_here(DETECT, store, tmp_path)))
    assert there["uri"].equals(here["uri"])
    assert there["labels"].equals(here["labels"])
