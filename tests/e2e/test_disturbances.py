"""Runs that lose a pod: the rows are right, and what was committed stays as it was."""

import os
import subprocess

from e2e_jobs import LONG
from e2e_kube import wait_for
from e2e_store import RUNS
from tench_command import COMMAND


def committed(release, store, count):
    """Shards of a run, once so many are committed."""
    run_id = release.run_id()
    return wait_for(f"{count} shards", lambda: len(found := store.shards(run_id)) >= count and found)


def check_rows(release, store):
    run_id = release.run_id()
    uris = store.predictions(run_id)["uri"].to_pylist()
    assert len(uris) == len(set(uris)) == 600
    subprocess.run([*COMMAND, "verify", f"{RUNS}/{run_id}"], env={**os.environ, **store.environment}, check=True)


def test_a_worker_is_deleted(namespace, store):
    release = namespace.install("worker", {"job": LONG})
    before = committed(release, store, 3)
    namespace.kubectl("delete", "pod", release.pods("worker")[0]["metadata"]["name"], "--grace-period=0", "--force")
    assert len(before) < 20
    release.succeeded()
    check_rows(release, store)


def test_the_head_is_deleted(namespace, store):
    release = namespace.install("head", {"job": LONG, "retries": 2})
    committed(release, store, 3)
    namespace.kubectl("delete", "pod", release.pods("head")[0]["metadata"]["name"], "--grace-period=0", "--force")
    before = store.shards(release.run_id())
    assert 3 <= len(before) < 20
    release.succeeded(timeout_s=500)
    check_rows(release, store)
    after = store.shards(release.run_id())
    assert before.items() <= after.items()
