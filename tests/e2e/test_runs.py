"""Runs that nothing disturbs: the demo's three, as RayJobs and as this machine does them."""

import json
import os
import subprocess

from e2e_jobs import CLASSIFY, DETECT, VIT
from e2e_store import PREFIX
from tench_command import COMMAND


def run_here(spec, store, tmp_path):
    """The same spec by `tench run`, from and to the same bucket; its run id."""
    run_id = f"local-{os.urandom(4).hex()}"
    (tmp_path / "job.json").write_text(json.dumps(spec))
    command = [*COMMAND, "run", str(tmp_path / "job.json"), "--engine", "local", "--run-id", run_id]
    subprocess.run(command, env={**os.environ, **store.environment}, check=True)
    return run_id


def test_the_classifier_on_two_replicas_gives_what_this_machine_gives(namespace, store, tmp_path):
    release = namespace.install("classify", {"job": CLASSIFY})
    release.running()
    assert len(release.pods("worker")) == 2
    release.succeeded()
    there, here = release.run_id(), run_here(CLASSIFY, store, tmp_path)
    columns = ["uri", "expected", "error", "width", "height", "label", "top_labels"]
    assert store.predictions(there).select(columns).equals(store.predictions(here).select(columns))
    found, expected = store.success(there), store.success(here)
    assert found["rows"] == expected["rows"] == 2000
    assert found["metrics"]["top1"] == expected["metrics"]["top1"] > 0.9
    assert b"<svg" in store.read(f"{PREFIX}/{there}/report.html")


def test_a_vision_transformer_from_a_folder_of_the_bucket(namespace, store, tmp_path):
    release = namespace.install("vit", {"job": VIT})
    release.succeeded()
    there, here = release.run_id(), run_here(VIT, store, tmp_path)
    assert store.predictions(there).select(["uri", "label"]).equals(store.predictions(here).select(["uri", "label"]))


def test_a_detector_submitted_by_a_pod(namespace, store, tmp_path):
    release = namespace.install("2-detect", {"job": DETECT, "kuberay": {"submissionMode": "K8sJobMode"}})
    release.succeeded()
    there, here = (store.predictions(run) for run in (release.run_id(), run_here(DETECT, store, tmp_path)))
    assert there["uri"].equals(here["uri"])
    assert there["labels"].equals(here["labels"])


def results(store, release):
    """All of the run's objects but the drivers' logs: each attempt leaves its own."""
    found = store.objects(f"{PREFIX}/{release.run_id()}/")
    return {key: entry for key, entry in found.items() if "/logs/" not in key}


def test_a_run_that_is_complete_ends_at_once_when_it_is_made_again(namespace, store):
    job = {**DETECT, "source": {**DETECT["source"], "limit": 50}}
    release = namespace.install("again", {"job": job})
    release.succeeded()
    before = results(store, release)
    release.uninstall()
    release = namespace.install("again", {"job": job})
    status = release.succeeded()
    assert results(store, release) == before
    print("attempt on a complete run:", status["rayJobInfo"])
