"""A warm cluster: two runs one after the other, and no new pods for the second."""

from datetime import datetime

from e2e_jobs import CLASSIFY
from e2e_kube import merge, wait_for

ONE_REPLICA = merge(CLASSIFY, {"compute": {"concurrency": 1}, "source": {"limit": 400}})


def uids(namespace):
    return {pod["metadata"]["uid"] for pod in namespace.items("pods")}


def until_first_shard_s(release, store):
    created = datetime.fromisoformat(release.rayjob()["metadata"]["creationTimestamp"])
    first = min(written for _, written in store.shards(release.run_id()).values())
    return (first - created).total_seconds()


def test_two_runs_on_one_cluster(namespace, store):
    namespace.install("warm", {"mode": "cluster", "workers": {"replicas": 1}})
    wait_for("the cluster", lambda: namespace.items("rayclusters")[0].get("status", {}).get("state") == "ready")
    pods = uids(namespace)
    assert len(pods) == 2
    waits_s = []
    for name in ("monday", "tuesday"):
        release = namespace.install(name, {"job": ONE_REPLICA, "cluster": "warm"})
        release.succeeded()
        assert store.success(release.run_id())["rows"] == 400
        assert uids(namespace) == pods
        waits_s.append(until_first_shard_s(release, store))
    print(f"from the install to the first shard: {waits_s[0]:.0f} s, then {waits_s[1]:.0f} s")
