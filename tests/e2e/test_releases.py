"""One release from several sides while it runs: who may call it, what its pods are allowed, upgrade and uninstall."""

import json
import re

import pytest
from e2e_jobs import LONG
from e2e_kube import Release, merge, wait_for
from e2e_store import PREFIX

CALL = """
import urllib.request, urllib.error
request = urllib.request.Request("http://{service}:8265/api/jobs/", data={data}, method="{method}")
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def release(shared_namespace):
    release = shared_namespace.install("long", {"job": LONG})
    release.running()
    return release


@pytest.mark.parametrize(("method", "data"), [("GET", None), ("POST", json.dumps({"entrypoint": "id"}).encode())])
def test_a_call_without_the_token_is_refused(release, method, data):
    service = release.status()["rayClusterStatus"]["head"]["serviceName"]
    code = release.exec_in_head("python", "-c", CALL.format(service=service, method=method, data=data))
    assert code.strip() in ("401", "403")


def test_every_pod_is_restricted(release):
    pods = release.namespace.items("pods")
    assert len(pods) == 3
    for pod in pods:
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"]
            assert context["capabilities"] == {"drop": ["ALL"]}


def test_an_upgrade_without_a_change_does_nothing(release):
    before = release.rayjob()
    release.namespace.install("long", {"job": LONG})
    after = release.rayjob()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_a_changed_deadline_is_an_edit_of_the_rayjob(release):
    before = release.rayjob()
    release.namespace.install("long", {"job": LONG, "deadlines": {"activeSeconds": 599}})
    after = release.rayjob()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["activeDeadlineSeconds"] == 599


def test_an_upgrade_with_a_change_is_a_new_rayjob_that_resumes(release, store):
    before, run_id = release.rayjob()["metadata"]["name"], release.run_id()
    wait_for("a shard", lambda: store.shards(run_id))
    release.namespace.install("long", {"job": merge(LONG, {"compute": {"concurrency": 1}})})
    (after,) = wait_for("the old RayJob to go", lambda: len(found := release.rayjobs()) == 1 and found)
    assert after["metadata"]["name"] != before
    assert release.run_id() == run_id
    committed = store.shards(run_id)
    release.running()
    # The old pods may commit one more as they leave, so a shard more is no sign of the new driver.
    skipped = int(wait_for("the new driver to resume", lambda: _resumed(store, run_id)))
    assert skipped >= len(committed)
    wait_for("another shard", lambda: len(store.shards(run_id)) > skipped)
    assert committed.items() <= store.shards(run_id).items()


def _resumed(store, run_id):
    """How many shards a driver found committed; None before one says so. Its log may outlive its pod."""
    log = "\n".join(store.driver_logs(run_id))
    found = re.search(rf"resuming run {run_id}: (\d+) of 20 shards are committed", log)
    return found and found[1]


def test_uninstalled_in_mid_run_it_leaves_nothing_but_valid_shards(release: Release, store):
    run_id = release.run_id()
    wait_for("a shard", lambda: store.shards(run_id))
    release.uninstall()
    kinds = "rayjobs,rayclusters,pods,services,configmaps,poddisruptionbudgets,secrets,jobs"
    own = {"store", "kube-root-ca.crt"}  # the test's, and Kubernetes'
    wait_for("everything to go", lambda: {each["metadata"]["name"] for each in release.namespace.items(kinds)} == own)
    assert (
        store.predictions(run_id)["error"].null_count
        == len(store.predictions(run_id))
        == 30 * len(store.shards(run_id))
    )
    assert f"{PREFIX}/{run_id}/_SUCCESS" not in store.keys(f"{PREFIX}/{run_id}/")
