"""A namespace of the kind cluster and the releases in it, seen as a user sees them: through helm and kubectl."""

import json
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import yaml
from e2e_store import Store

from scripts.kind.cluster import store_endpoint
from scripts.kind.commands import environment
from scripts.kind.diagnosis import diagnose
from scripts.kind.settings import ACCESS_KEY, FAILURES, IMAGE, INSIDE_ENDPOINT, SECRET_KEY, TEST_LABEL

CHART = Path(__file__).resolve().parents[2] / "charts" / "tench"
SECRET = "store"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
TERMINAL = ("Complete", "Failed", "ValidationFailed")

# Two cores and one node: pods ask for little, and Ray is told of more CPUs than they ask for.
SMALL = {"resources": {"requests": {"cpu": "50m", "ephemeral-storage": "0"}}, "disk": "2Gi", "sharedMemory": "512Mi"}
INFRASTRUCTURE = {
    "image": {"repository": IMAGE.partition(":")[0], "tag": IMAGE.partition(":")[2], "pullPolicy": "Never"},
    "head": {"memory": "3Gi", **SMALL},
    "workers": {"cpus": 2, "memory": "2Gi", **SMALL},
    "storage": {"endpoint": INSIDE_ENDPOINT, "region": "us-east-1", "secret": SECRET},
    "deadlines": {"preRunningSeconds": 300, "activeSeconds": 600},
    "retries": 0,
    "ttlSecondsAfterFinished": 5,
}


def merge(*trees):
    """Later trees over earlier ones, as Helm merges values."""
    merged = {}
    for tree in trees:
        for key, value in tree.items():
            both = isinstance(value, dict) and isinstance(merged.get(key), dict)
            merged[key] = merge(merged[key], value) if both else value
    return merged


def call(*command, stdin=None):
    """What a command prints. An error shows what it said."""
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, env=environment(), timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def wait_for(what, condition, timeout_s=300, poll_s=1.0):
    """What `condition` returns, as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(poll_s)
    return found


class Namespace:
    """A context: one that enforces the restricted Pod Security Standard, with the store's Secret in it."""

    alive: ClassVar[list["Namespace"]] = []

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.alive.append(self)
        call("kubectl", "create", "namespace", self.name)
        call("kubectl", "label", "namespace", self.name, RESTRICTED, TEST_LABEL)
        keys = (f"--from-literal=AWS_ACCESS_KEY_ID={ACCESS_KEY}", f"--from-literal=AWS_SECRET_ACCESS_KEY={SECRET_KEY}")
        self.kubectl("create", "secret", "generic", SECRET, *keys)
        return self

    def __exit__(self, *_):
        self.alive.remove(self)
        releases = json.loads(call("helm", "list", "--namespace", self.name, "--output", "json"))
        for release in releases:
            call("helm", "uninstall", release["name"], "--namespace", self.name)
        call("kubectl", "delete", "namespace", self.name, "--wait=false")

    def diagnose(self):
        """Says what the namespace knows, and what the drivers have left in the bucket when their pods are gone."""
        folder = FAILURES / self.name
        diagnose(self.name, folder)
        for rayjob in self.items("rayjobs"):
            Store(store_endpoint()).save_logs(rayjob["metadata"]["labels"]["tench/run-id"], folder)

    def kubectl(self, *arguments, stdin=None):
        return call("kubectl", "--namespace", self.name, *arguments, stdin=stdin)

    def items(self, kind, *arguments):
        return json.loads(self.kubectl("get", kind, "--output", "json", *arguments))["items"]

    def install(self, release, values):
        """`helm install`, or `helm upgrade` where it is there; what NOTES.txt said."""
        given = yaml.safe_dump(merge(INFRASTRUCTURE, values))
        where = ("--install", release, str(CHART), "--namespace", self.name, "--values", "-")
        # As the chart's README says of a queue: what Kueue has written is not to be taken back.
        client = ["--server-side=false"] if "queue" in values and "v4." in call("helm", "version", "--short") else []
        call("helm", "upgrade", *where, *client, stdin=given)
        return Release(self, release)


class Release:
    """One run."""

    def __init__(self, namespace, name):
        self.namespace = namespace
        self.name = name

    def rayjobs(self):
        return self.namespace.items("rayjobs", f"--selector=app.kubernetes.io/instance={self.name}")

    def rayjob(self):
        (rayjob,) = self.rayjobs()
        return rayjob

    def run_id(self):
        return self.rayjob()["metadata"]["labels"]["tench/run-id"]

    def status(self):
        return self.rayjob().get("status", {})

    def pods(self, component=None):
        selector = f"app.kubernetes.io/instance={self.name}"
        if component:
            selector += f",app.kubernetes.io/component={component}"
        return self.namespace.items("pods", f"--selector={selector}")

    def finished(self, timeout_s=500):
        """The status, once it is final."""
        return wait_for(
            f"{self.name} to finish",
            lambda: (s := self.status()).get("jobDeploymentStatus") in TERMINAL and s,
            timeout_s,
        )

    def succeeded(self, timeout_s=500):
        status = self.finished(timeout_s)
        assert (status["jobDeploymentStatus"], status["jobStatus"]) == ("Complete", "SUCCEEDED"), status
        return status

    def running(self, timeout_s=300):
        """As soon as the driver runs."""
        states = ("RUNNING", "SUCCEEDED", "FAILED")
        found = wait_for(
            f"{self.name} to run", lambda: (s := self.status().get("jobStatus")) in states and s, timeout_s
        )
        assert found == "RUNNING", self.status()

    def since_created_s(self, moment):
        """Seconds of a moment as Kubernetes writes it, or of a datetime."""
        moment = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
        created = datetime.fromisoformat(self.rayjob()["metadata"]["creationTimestamp"])
        return round((moment - created).total_seconds())

    def start_of_pods_s(self):
        """When, after the RayJob was made, its pods had come to what; the last of them counts."""
        moments = {"pods placed": [], "containers started": [], "pods ready": []}
        for pod in self.pods():
            conditions = {each["type"]: each["lastTransitionTime"] for each in pod["status"]["conditions"]}
            moments["pods placed"].append(conditions["PodScheduled"])
            moments["containers started"].append(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])
            moments["pods ready"].append(conditions["Ready"])
        return {what: max(map(self.since_created_s, each)) for what, each in moments.items()}

    def start_of_job_s(self, store):
        """The same of the job, once it has rows."""
        run_id = self.run_id()
        first = min(written for _, written in store.shards(run_id).values())
        return {
            "driver started": self.since_created_s(self.status()["rayJobInfo"]["startTime"]),
            "Ray joined, source listed": self.since_created_s(store.written(run_id, "plan.json")),
            "first rows committed": self.since_created_s(first),
        }

    def exec_in_head(self, *command):
        (head,) = self.pods("head")
        return self.namespace.kubectl("exec", head["metadata"]["name"], "--container", "ray-head", "--", *command)

    def uninstall(self):
        call("helm", "uninstall", self.name, "--namespace", self.namespace.name)
