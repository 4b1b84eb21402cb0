"""One run to its end as `tench watch`, `list` and `logs` show it, and one that fails."""

import json
import signal
import time

import pytest
from e2e_jobs import CLASSIFY
from e2e_kube import merge, wait_for
from e2e_store import RUNS
from e2e_tench import Tench

SMALL = {"job": merge(CLASSIFY, {"compute": {"concurrency": 1}, "source": {"limit": 400}})}
TOO_LITTLE = {"workers": {"memory": "400Mi", "sharedMemory": "128Mi"}}


@pytest.fixture(scope="module")
def tench(shared_namespace, store):
    return Tench(shared_namespace, store)


@pytest.fixture(scope="module")
def release(shared_namespace):
    return shared_namespace.install("good", SMALL)


def test_logs_follow_the_driver_from_before_its_start_to_its_end(release, tench):
    printed, said = tench.start("logs", "good", "--follow").communicate(timeout=400)
    assert "400 images, 0 failed" in printed, said
    assert printed.rstrip().endswith(f"{RUNS}/{release.run_id()}")


def test_watch_ends_with_the_run(release, tench):
    done = tench("watch", release.run_id())
    assert (done.returncode, done.stdout.strip()) == (0, f"{RUNS}/{release.run_id()}")
    assert "succeeded: 400 of 400 images, no failures" in done.stderr


def test_collect_and_verify_take_its_name(release, tench, tmp_path):
    done = tench("collect", "good", "--to", str(tmp_path / "here"), "--merge", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    assert "400 rows in 1 file" in done.stderr
    assert len((tmp_path / "here" / "predictions.jsonl").read_text().splitlines()) == 400
    assert tench("verify", release.run_id()).stdout.strip() == f"{RUNS}/{release.run_id()}"


def test_list_and_logs_know_it_when_its_cluster_is_gone(release, tench):
    wait_for("the pods to go", lambda: not release.pods())
    (listed,) = json.loads(tench("list", "-o", "json").stdout)
    assert (listed["run_id"], listed["phase"], listed["complete"]) == (release.run_id(), "succeeded", True)
    assert listed["progress"]["rows_done"] == 400
    assert f"{release.run_id()}  good" in tench("list").stdout
    kept = tench("logs", "good")
    assert "400 images, 0 failed" in kept.stdout
    assert tench("logs", f"{RUNS}/{release.run_id()}", "--tail", "1").stdout == f"{RUNS}/{release.run_id()}\n"


def test_a_failed_run_is_exit_code_1_with_the_drivers_words(shared_namespace, tench):
    bad = shared_namespace.install("bad", merge(SMALL, {"job": {"source": {"uri": "s3://no-such-bucket/val/"}}}))
    done = tench("watch", "bad")
    assert done.returncode == 1
    assert "no-such-bucket" in done.stderr.splitlines()[-1]
    kept = tench("logs", "bad")
    assert "tench: " in kept.stdout
    assert "no-such-bucket" in kept.stdout
    bad.uninstall()


def test_ctrl_c_leaves_it_and_says_how_to_come_back_and_too_little_memory_for_ray_is_told(shared_namespace, tench):
    release = shared_namespace.install("little", merge(SMALL, {"job": {"name": "little"}}, TOO_LITTLE))
    watching = tench.start("watch", "little")

    def told():
        status = json.loads(tench("status", "little", "-o", "json").stdout)
        return [each for each in status["reasons"] if each["kind"] == "memory"]

    (reason,) = wait_for("the reason", told, timeout_s=420, poll_s=5)
    assert "lack of memory" in reason["text"] or "OOMKilled" in reason["text"]
    assert "workers.memory" in reason["way_out"]
    time.sleep(5)
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert f"tench watch {release.run_id()} -n {shared_namespace.name}" in said
    assert f"tench cancel {release.run_id()} -n {shared_namespace.name}" in said
    assert f"why: {reason['text'][:30]}" in said
