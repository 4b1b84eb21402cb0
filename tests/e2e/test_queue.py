"""Runs in a queue of Kueue that has room for one: the second waits its turn, and says so."""

import json

import pytest
import yaml
from e2e_jobs import CLASSIFY
from e2e_kube import INFRASTRUCTURE, Release, call, merge, wait_for

# A head and a worker of e2e_kube.
QUOTA = {"cpu": "1", "memory": "6Gi", "ephemeral-storage": "10Gi"}
SMALL = {
    "job": merge(CLASSIFY, {"compute": {"concurrency": 1}, "source": {"limit": 100}}),
    "queue": {"name": "vision"},
}


@pytest.fixture(scope="module")
def queue(shared_namespace):
    """A LocalQueue of a ClusterQueue that serves this namespace alone."""
    name = shared_namespace.name
    flavors = [{"name": name, "resources": [{"name": key, "nominalQuota": n} for key, n in QUOTA.items()]}]
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    groups = [{"coveredResources": list(QUOTA), "flavors": flavors}]
    objects = [
        make("ResourceFlavor", {"name": name}, {}),
        make("ClusterQueue", {"name": name}, {"namespaceSelector": selector, "resourceGroups": groups}),
        make("LocalQueue", {"name": "vision", "namespace": name}, {"clusterQueue": name}),
    ]
    # Its webhooks answer a moment after its pod is ready.
    wait_for("Kueue", lambda: applied(objects), timeout_s=120)
    yield
    call("kubectl", "delete", "clusterqueue,resourceflavor", name, "--wait=false")


def make(kind, metadata, spec):
    return {"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": kind, "metadata": metadata, "spec": spec}


def applied(objects):
    try:
        return call("kubectl", "apply", "--filename", "-", stdin=yaml.safe_dump_all(objects))
    except AssertionError:
        return False


def status_of(tench, name):
    return json.loads(tench("status", name, "-o", "json").stdout)


def test_the_second_waits_with_its_place_until_the_first_has_ended(shared_namespace, queue, tench, store):
    first = shared_namespace.install("first", SMALL)
    second = shared_namespace.install("second", SMALL)

    def told():
        """Kueue takes it up, and then looks for room."""
        status = status_of(tench, "second")
        return status["phase"] == "queued" and [each for each in status["reasons"] if "memory" in each["text"]]

    (reason,) = wait_for("the reason", told)
    assert reason["text"].startswith("waits in the queue vision, place 1: ")
    assert not second.pods()
    first.succeeded()
    second.succeeded()
    ended, began = first.status()["endTime"], second.status()["startTime"]
    assert ended <= began
    assert store.success(second.run_id())["rows"] == 100


def test_an_upgrade_without_a_change_leaves_what_kueue_wrote(shared_namespace, queue):
    before = Release(shared_namespace, "first").rayjob()
    after = shared_namespace.install("first", SMALL).rayjob()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]


def test_plan_knows_the_queue(shared_namespace, queue, tench, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(merge(SMALL["job"], {"name": "third"})))
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(INFRASTRUCTURE))
    plan = ("plan", str(tmp_path / "job.json"), "-f", str(tmp_path / "cluster.yaml"))
    fits = tench(*plan, "--set", "queue.name=vision")
    assert f"queue: vision of the ClusterQueue {shared_namespace.name}: nothing waits there" in fits.stderr
    large = tench(*plan, "--set", "queue.name=vision", "--set", "workers.memory=9Gi")
    assert large.returncode == 3
    assert "6Gi of memory where the run asks for 12Gi, so the run is never admitted" in large.stderr
    wrong = tench(*plan, "--set", "queue.name=sound")
    assert "there is no LocalQueue sound" in wrong.stderr
