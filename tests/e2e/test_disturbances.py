"""A run that loses a worker and then its head: the rows are right, and what was committed stays as it was."""

import os
import re
import subprocess

from e2e_jobs import LONG
from e2e_kube import merge, wait_for
from e2e_store import RUNS
from tench_command import COMMAND

LONGER = merge(LONG, {"source": {"limit": 1200}})


def committed(release, store, count):
    """Shards of a run, once so many are committed."""
    run_id = release.run_id()
    return wait_for(f"{count} shards", lambda: len(found := store.shards(run_id)) >= count and found)


def kill(release, component):
    """Its pod of that kind, or one of them."""
    name = release.pods(component)[0]["metadata"]["name"]
    release.namespace.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    return name


def names(release, component):
    return {pod["metadata"]["name"] for pod in release.pods(component)}


def test_a_worker_and_then_the_head_are_deleted(namespace, store):
    release = namespace.install("disturbed", {"job": LONGER})
    run_id, shards = release.run_id(), LONGER["source"]["limit"] // LONGER["output"]["rows_per_file"]
    committed(release, store, 3)
    submitted = release.status()["jobId"]

    worker = kill(release, "worker")
    at_its_end = store.shards(run_id)
    committed(release, store, len(at_its_end) + 3)
    wait_for("a new worker", lambda: len(names(release, "worker")) == 2 and worker not in names(release, "worker"))
    assert release.status()["jobId"] == submitted, "the same job goes on"

    kill(release, "head")
    before = store.shards(run_id)
    assert len(at_its_end) + 3 <= len(before) < shards
    release.succeeded()
    after = store.shards(run_id)
    assert before.items() <= after.items(), "no committed shard was written again"
    logs = "\n".join(store.driver_logs(run_id))
    (skipped,) = re.findall(rf"resuming run {run_id}: (\d+) of {shards} shards are committed", logs)
    assert len(before) <= int(skipped) < shards, "nor computed again"
    uris = store.predictions(run_id)["uri"].to_pylist()
    assert len(uris) == len(set(uris)) == LONGER["source"]["limit"]
    subprocess.run([*COMMAND, "verify", f"{RUNS}/{run_id}"], env={**os.environ, **store.environment}, check=True)
