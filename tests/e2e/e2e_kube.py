"""A namespace of the kind cluster and the releases in it, seen as a user sees them: through helm and kubectl."""

import json
import subprocess
import time
from pathlib import Path

import yaml

from scripts.kind.commands import environment
from scripts.kind.settings import ACCESS_KEY, IMAGE, INSIDE_ENDPOINT, SECRET_KEY

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
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, env=environment())
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
    """One that enforces the restricted Pod Security Standard, with the store's Secret in it."""

    def __init__(self, name):
        self.name = name

    def create(self):
        call("kubectl", "create", "namespace", self.name)
        call("kubectl", "label", "namespace", self.name, RESTRICTED)
        keys = (f"--from-literal=AWS_ACCESS_KEY_ID={ACCESS_KEY}", f"--from-literal=AWS_SECRET_ACCESS_KEY={SECRET_KEY}")
        self.kubectl("create", "secret", "generic", SECRET, *keys)

    def delete(self):
        releases = json.loads(call("helm", "list", "--namespace", self.name, "--output", "json"))
        for release in releases:
            call("helm", "uninstall", release["name"], "--namespace", self.name)
        call("kubectl", "delete", "namespace", self.name, "--wait=false")

    def kubectl(self, *arguments, stdin=None):
        return call("kubectl", "--namespace", self.name, *arguments, stdin=stdin)

    def items(self, kind, *arguments):
        return json.loads(self.kubectl("get", kind, "--output", "json", *arguments))["items"]

    def install(self, release, values):
        """`helm install`, or `helm upgrade` where it is there; what NOTES.txt said."""
        given = yaml.safe_dump(merge(INFRASTRUCTURE, values))
        where = ("--install", release, str(CHART), "--namespace", self.name, "--values", "-")
        call("helm", "upgrade", *where, stdin=given)
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

    def exec_in_head(self, *command):
        (head,) = self.pods("head")
        return self.namespace.kubectl("exec", head["metadata"]["name"], "--container", "ray-head", "--", *command)

    def uninstall(self):
        call("helm", "uninstall", self.name, "--namespace", self.namespace.name)
