"""The launcher as a person and a script call it: submit, cancel, submit again, render, gc, on the real cluster."""

import json
import os
import pty
import subprocess
from functools import partial

import pytest
import yaml
from e2e_jobs import LONG
from e2e_kube import INFRASTRUCTURE, Release, call, merge, wait_for
from e2e_store import PREFIX, RUNS
from tench_command import COMMAND

from scripts.kind.settings import KUBECONFIG

ROUND = os.urandom(2).hex()  # the bucket outlives a round of tests
JOB = merge(
    LONG,
    {
        "name": f"launched-{ROUND}",
        "source": {"limit": 150},
        "compute": {"concurrency": 1},
        "output": {"rows_per_file": 15},
    },
)


class Person:
    """Somebody with a spec, a values file and an environment, in a folder."""

    def __init__(self, folder, namespace, store):
        self.folder, self.namespace = folder, namespace
        self.environment = {**os.environ, **store.environment, "KUBECONFIG": str(KUBECONFIG), "PYTHONPATH": os.getcwd()}
        self.write("job.yaml", JOB)
        self.write("cluster.yaml", INFRASTRUCTURE)

    def write(self, name, document):
        (self.folder / name).write_text(yaml.safe_dump(document))

    def in_namespace(self, command, *arguments):
        return [*COMMAND, command, *arguments, "--namespace", self.namespace.name]

    def pipe(self, *words, code=0):
        """Standard output and error of a call that nobody looks at."""
        done = subprocess.run(
            self.in_namespace(*words),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout, done.stderr

    def terminal(self, *words, answer="", code=0, **environment):
        """What stands on standard output, and on the screen, of a call from a terminal."""
        controller, terminal = pty.openpty()
        call = partial(subprocess.Popen, stdin=terminal, stderr=terminal, stdout=subprocess.PIPE, cwd=self.folder)
        with call(self.in_namespace(*words), env={**self.environment, "TERM": "xterm", **environment}) as process:
            os.close(terminal)
            os.write(controller, answer.encode())
            screen = b"".join(iter(partial(_read, controller), b"")).decode()
            output = process.stdout.read().decode()
        os.close(controller)
        assert process.returncode == code, screen
        return output, screen


def _read(controller):
    try:
        return os.read(controller, 4096)
    except OSError:  # the other end is closed
        return b""


@pytest.fixture(scope="module")
def person(tmp_path_factory, shared_namespace, store):
    return Person(tmp_path_factory.mktemp("person"), shared_namespace, store)


@pytest.fixture(scope="module")
def run_id(person, store):
    """Submitted from a terminal; left with what it wrote."""
    output, screen = person.terminal("submit", "job.yaml", "-f", "cluster.yaml", answer="y\n")
    run_id = output.strip()
    assert f"submit {run_id}? [Y/n]" in screen
    assert "\x1b[" in screen, "colours on a terminal"
    assert f"tench watch {run_id} -n {person.namespace.name}" in screen
    return run_id


def releases(person):
    listed = json.loads(call("helm", "list", "--namespace", person.namespace.name, "--output", "json"))
    return [each["name"] for each in listed]


def test_plan_says_what_the_cluster_says(person):
    output, error = person.pipe("plan", "job.yaml", "-f", "cluster.yaml", "--images-per-second", "10")
    assert output.startswith("launched-")
    for words in (
        "KubeRay: 1.6.1, default/kuberay-operator",
        "Pod Security: restricted, which the pods",
        "references: Secret store is there",
        "can be written, and refuses a",
        "2 pods, no GPUs; about 15.0 s at 10 images/s a replica (as given)",
    ):
        assert words in " ".join(error.split())
    assert releases(person) == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("storage.secret=not-there", "there is no Secret not-there in the namespace"),
        ("workers.nodeSelector.disk=none", "1 node: not the label disk=none of workers.nodeSelector"),
        ("workers.memory=900Gi", "of memory and 900Gi is asked for"),
        ("serviceAccount.name=nobody", "there is no ServiceAccount nobody"),
        ("workers.priorityClassName=nobody", "there is no PriorityClass nobody"),
    ],
)
def test_what_would_hang_is_exit_3_and_nothing_starts(person, setting, words):
    output, error = person.pipe("submit", "job.yaml", "-f", "cluster.yaml", "--set", setting, code=3)
    assert output == ""
    assert words in " ".join(error.split())
    assert "--force goes on" in error
    assert releases(person) == []


def test_a_dry_run_is_what_is_applied(person):
    manifest, _ = person.pipe("submit", "job.yaml", "-f", "cluster.yaml", "--dry-run")
    assert releases(person) == []
    person.namespace.kubectl("apply", "--dry-run=server", "--filename", "-", stdin=manifest)


def test_no_is_no(person):
    output, screen = person.terminal("submit", "job.yaml", "-f", "cluster.yaml", answer="n\n", NO_COLOR="1")
    assert (output, releases(person)) == ("", [])
    assert "nothing was started" in screen
    assert "\x1b[3" not in screen, "no colours where NO_COLOR is set"


def test_release_and_run_and_folder_have_one_name(person, run_id):
    assert releases(person) == [run_id]
    (rayjob,) = person.namespace.items("rayjobs")
    assert rayjob["metadata"]["labels"]["tench/run-id"] == run_id


def test_the_same_call_again_finds_the_run(person, run_id):
    output, error = person.pipe("submit", "job.yaml", "-f", "cluster.yaml")
    assert output.strip() == run_id
    assert f"{run_id} is there already" in error
    assert "--upgrade" not in error
    _, error = person.pipe("submit", "job.yaml", "-f", "cluster.yaml", "--set", "deadlines.activeSeconds=599")
    assert "would change its RayJob; --upgrade does" in error


def test_an_upgrade_changes_the_run_that_is_there(person, run_id):
    change = ("--upgrade", "--set", "deadlines.activeSeconds=599", "-o", "json")
    output, _ = person.pipe("submit", "job.yaml", "-f", "cluster.yaml", *change)
    assert json.loads(output)["state"] == "upgraded"
    (rayjob,) = person.namespace.items("rayjobs")
    assert rayjob["spec"]["activeDeadlineSeconds"] == 599


def test_list_has_the_run(person, run_id):
    output, error = person.pipe("list")
    assert run_id in output + error


def test_cancelled_and_submitted_again_it_resumes(person, run_id, store):
    wait_for("a shard", lambda: store.shards(run_id), timeout_s=300)
    output, error = person.pipe("cancel", run_id)
    assert output.strip() == run_id
    assert f"what is committed stays in {RUNS}/{run_id}" in error
    assert person.namespace.items("rayjobs") == person.namespace.items("pods") == releases(person) == []
    committed = store.shards(run_id)
    assert 0 < len(committed) < 10
    output, error = person.pipe("submit", "job.yaml", "-f", "cluster.yaml", "--watch")
    assert output.strip() == run_id
    assert f"skips {len(committed)} committed shards" in error
    after = store.shards(run_id)
    assert len(after) == 10
    assert committed.items() <= after.items()
    assert store.success(run_id)["rows"] == 150


def test_a_complete_run_is_not_submitted_again(person, run_id):
    output, error = person.pipe("submit", "job.yaml", "-f", "cluster.yaml", "-o", "json")
    assert json.loads(output)["state"] == "complete"
    assert f"tench collect {RUNS}/{run_id}" in error


def test_a_failed_run_is_submitted_again(person):
    person.write("failing.yaml", merge(JOB, {"name": f"failing-{ROUND}"}))
    submit = ("submit", "failing.yaml", "-f", "cluster.yaml", "-o", "json", "--force")
    hurried = ("--set", "storage.secret=not-there", "--set", "deadlines.preRunningSeconds=10")
    first = json.loads(person.pipe(*submit, *hurried)[0])
    assert first["state"] == "submitted"
    release = Release(person.namespace, first["run_id"])
    failed = release.rayjob()["metadata"]["uid"]
    assert release.finished()["jobDeploymentStatus"] == "Failed"
    same = json.loads(person.pipe(*submit, *hurried)[0])
    assert same == {**first, "state": "submitted again"}
    assert release.rayjob()["metadata"]["uid"] != failed
    release.uninstall()


def test_what_is_rendered_can_be_applied(person, run_id):
    output, _ = person.pipe("render", "job.yaml", "-f", "cluster.yaml", "--to", "git")
    assert output.strip() == f"git/{run_id}.yaml"
    manifest = (person.folder / "git" / f"{run_id}.yaml").read_text()
    person.namespace.kubectl("apply", "--dry-run=server", "--filename", "-", stdin=manifest)


def test_gc_removes_what_has_ended_and_what_is_abandoned(person, run_id, store):
    plan = store.read(f"{PREFIX}/{run_id}/plan.json")
    root = f"garbage-{run_id}"
    for key, data in (
        ("left/plan.json", plan),
        ("left/predictions/shard-00000.parquet", b""),
        ("done/_SUCCESS", b"{}"),
    ):
        store.client.put_object(Bucket="tench", Key=f"{root}/{key}", Body=data)
    data = ("--data", f"s3://tench/{root}")
    output, error = person.pipe("gc", "--older-than", "0s", *data, "--dry-run", "-o", "json")
    assert json.loads(output)["folders"] == [f"s3://tench/{root}/left"]
    assert f"run {run_id}, succeeded" in error
    output, screen = person.terminal("gc", "--older-than", "0s", *data, answer="\n", code=2)
    assert "remove 2 things? [y/N]" in screen
    assert releases(person) == [run_id]
    output, screen = person.terminal("gc", "--older-than", "0s", *data, answer="y\n")
    assert f"s3://tench/{root}/left" in output
    assert (releases(person), person.namespace.items("rayjobs")) == ([], [])
    assert store.keys(f"{root}/") == {f"{root}/done/_SUCCESS"}
    assert store.shards(run_id), "the finished run's folder stays"
