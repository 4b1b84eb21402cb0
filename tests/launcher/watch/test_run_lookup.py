"""A run by name beside a folder of that name, which is what `tench collect RUN` leaves: the cluster is asked first."""

import json
from io import StringIO
from pathlib import Path

import pytest
from colours import write_images
from forked_command import call_tench
from kube_server import KubeServer
from launcher.fake_cluster import rayjob
from rich.console import Console
from run_specs import make_spec, run_here
from tench_command import environment

from tench.launcher.collect.collection import collect
from tench.launcher.collect.form import Form

RAYJOBS = "/apis/ray.io/v1/namespaces/vision/rayjobs"
NOTHING = {RAYJOBS: {"items": []}, "/api/v1/namespaces/vision/pods": {"items": []}}
# What a command says of a run that it found, on standard output, as one of the run's folder and log.
COMMANDS = {
    "collect": (["--to", "../there", "-o", "json"], lambda printed, run: json.loads(printed)["run_id"] == run.name),
    "status": (["-o", "json"], lambda printed, run: json.loads(printed)["phase"] == "succeeded"),
    "verify": (["-o", "json"], lambda printed, run: json.loads(printed)["uri"] == str(run)),
    "logs": ([], lambda printed, run: printed == "what the driver said\n"),
}


@pytest.fixture
def run(tmp_path):
    """A finished run's folder, with the log that a driver on a cluster leaves."""
    write_images(tmp_path / "images", 12)
    folder = Path(run_here(make_spec(tmp_path)).paths.uri)
    (folder / "logs").mkdir()
    (folder / "logs" / "driver-20261121T220000Z.log").write_text("what the driver said\n")
    return folder


@pytest.fixture
def beside_a_copy(run, tmp_path):
    """A working folder that the run was collected into without --to."""
    collect(str(run), str(tmp_path / "mine" / run.name), Form(), False, Console(file=StringIO()))
    return tmp_path / "mine"


@pytest.fixture
def cluster(tmp_path):
    """Knows no run, until it is told of one."""
    with KubeServer(tmp_path, dict(NOTHING)) as server:
        yield server


@pytest.fixture
def knows_the_run(cluster, run):
    ended = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    cluster.objects[RAYJOBS] = {"items": [rayjob(output_uri=run.parent, run_id=run.name, **ended)]}
    return cluster


def tench(*arguments, cwd, kubeconfig):
    env = environment(KUBECONFIG=str(kubeconfig))
    return call_tench(*arguments, cwd=cwd, env=env)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_is_the_clusters_run_also_beside_a_folder_of_that_name(command, run, beside_a_copy, knows_the_run):
    options, is_right = COMMANDS[command]
    done = tench(command, run.name, *options, cwd=beside_a_copy, kubeconfig=knows_the_run.kubeconfig)
    assert done.returncode == 0, done.stderr
    assert is_right(done.stdout, run), done.stdout
    assert "taking the folder" not in done.stderr


def test_status_of_a_name_is_told_by_the_cluster(run, beside_a_copy, knows_the_run):
    done = tench("status", run.name, "-o", "json", cwd=beside_a_copy, kubeconfig=knows_the_run.kubeconfig)
    found = json.loads(done.stdout)
    assert (found["namespace"], found["rayjob"], found["folder"]) == ("vision", "pets-07169639", str(run))


def test_collecting_a_name_twice_without_to_is_two_successes_and_one_download(run, tmp_path, knows_the_run):
    (tmp_path / "mine").mkdir()
    calls = [
        tench("collect", run.name, "-o", "json", cwd=tmp_path / "mine", kubeconfig=knows_the_run.kubeconfig)
        for _ in range(2)
    ]
    assert [done.returncode for done in calls] == [0, 0], calls[1].stderr
    first, second = (json.loads(done.stdout) for done in calls)
    assert first["folder"] == second["folder"] == str(tmp_path / "mine" / run.name)
    assert first["downloaded_bytes"] > 0 == second["downloaded_bytes"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("configured", [False, True], ids=["no cluster", "a cluster without it"])
def test_a_run_that_no_cluster_knows_is_the_folder_here_and_stderr_says_so(command, configured, run, tmp_path, cluster):
    options, is_right = COMMANDS[command]
    kubeconfig = cluster.kubeconfig if configured else tmp_path / "none"
    done = tench(command, run.name, *options, cwd=run.parent, kubeconfig=kubeconfig)
    assert done.returncode == 0, done.stderr
    assert is_right(done.stdout, run), done.stdout
    assert f"no cluster knows {run.name}; taking the folder ./{run.name}" in done.stderr


def test_a_folder_here_that_is_no_runs_is_not_taken(tmp_path, cluster):
    (tmp_path / "pets").mkdir()
    for kubeconfig, code, words in (
        (cluster.kubeconfig, 2, "no run 'pets' in the namespace vision"),
        (tmp_path / "none", 3, "no cluster: there is no kubeconfig"),
    ):
        done = tench("verify", "pets", cwd=tmp_path, kubeconfig=kubeconfig)
        assert (done.returncode, done.stdout) == (code, "")
        assert words in done.stderr
        assert "A run's folder is named with a slash: ./pets" in done.stderr


def test_a_cluster_that_refuses_or_a_context_that_is_not_there_does_not_make_it_the_folder(run, cluster):
    cluster.objects[RAYJOBS] = None
    for options, words in ([], "not allowed"), (["--context", "there"], "has no context 'there'"):
        done = tench("verify", run.name, *options, cwd=run.parent, kubeconfig=cluster.kubeconfig)
        assert (done.returncode, done.stdout) == (3, "")
        assert words in done.stderr
        assert f"./{run.name}" in done.stderr


@pytest.mark.parametrize("spelling", ["./{name}", "{name}/", "{path}", "."])
def test_a_folder_by_its_spelling_asks_no_cluster(spelling, run, tmp_path):
    word = spelling.format(name=run.name, path=run)
    done = tench("logs", word, cwd=run if word == "." else run.parent, kubeconfig=tmp_path / "none")
    assert (done.returncode, done.stdout, done.stderr) == (0, "what the driver said\n", "")


def test_a_copy_that_no_cluster_knows_is_not_collected_into_itself(run, beside_a_copy, tmp_path):
    done = tench("collect", run.name, cwd=beside_a_copy, kubeconfig=tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is in the run's own folder; name another one with --to" in done.stderr


@pytest.mark.parametrize("command", ["status", "logs", "verify", "collect"])
def test_a_folder_that_is_no_runs_is_a_wrong_call_and_what_it_holds_is_said(command, run, tmp_path):
    (tmp_path / "bare").mkdir()
    for folder, hint in (
        (run.parent, f"it is no run's folder, but one of runs; name one: {run}\n  {run.name}\n"),
        (tmp_path / "bare", "it is no run's folder; there is nothing at all\n"),
        (tmp_path / "none", "it is no run's folder; there is nothing at all\n"),
        (tmp_path / "images", "it is no run's folder\n"),
    ):
        done = tench(command, str(folder), cwd=tmp_path, kubeconfig=tmp_path / "none")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"tench: {folder} has no plan.json: {hint}"


@pytest.mark.parametrize("command", ["status", "logs", "verify", "collect"])
def test_a_bucket_without_credentials_is_exit_3_whatever_is_asked_of_it(command, tmp_path):
    away = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    env = environment(KUBECONFIG=str(tmp_path / "none"), AWS_EC2_METADATA_DISABLED="true", **away)
    env = {name: value for name, value in env.items() if not name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_PROF"))}
    done = call_tench(command, "s3://bucket/runs/mine", cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("tench: s3://bucket: there are no AWS credentials here; set AWS_PROFILE or ")
    assert "WARNING" not in done.stderr


def test_logs_of_a_run_on_this_machine_say_where_they_went(run, tmp_path):
    (run / "logs" / "driver-20261121T220000Z.log").unlink()
    done = tench("logs", f"./runs/{run.name}", cwd=tmp_path, kubeconfig=tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a run on this machine prints to its terminal" in done.stderr
    assert done.stderr.endswith(f"tench status ./runs/{run.name}\n")


def test_logs_of_workers_are_not_in_a_folder(run, tmp_path):
    for options in (["--workers"], ["--worker", "pod-1"]):
        done = tench("logs", str(run), *options, cwd=tmp_path, kubeconfig=tmp_path / "none")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"workers' logs are the cluster's; name the run: {run.name}" in done.stderr


@pytest.mark.parametrize("command", ["watch", "cancel"])
def test_a_folder_is_not_watched_nor_cancelled(command, run, tmp_path):
    done = tench(command, str(run), cwd=tmp_path, kubeconfig=tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{run} is a folder, and a run's name on a cluster is wanted here; see tench status {run}" in done.stderr
