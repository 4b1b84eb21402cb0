"""`tench submit`, `render`, `cancel` and `gc` as a user calls them, with the real helm; tests/e2e has the cluster."""

import datetime
import json

import pytest
import yaml
from forked_command import call_tench
from kube_server import KubeServer
from launcher.fake_cluster import SPEC, cluster, items, needs_helm, release
from tench_command import environment

from job.errors import UsageError
from job.plan.plan import run_paths
from job.spec.spec import JobSpec
from tench.launcher.cleanup.abandoned_folders import delete_folder, find_abandoned
from tench.launcher.cluster.helm import ChartValues, Helm, to_helm_yaml
from tench.launcher.cluster.release import differing
from tench.launcher.commands.gc import parse_age

RAYJOBS = "/apis/ray.io/v1/namespaces/vision/rayjobs"
RUN_ID = run_paths(JobSpec.model_validate(SPEC)).run_id


@pytest.fixture
def tench(tmp_path, monkeypatch):
    """Calls the command beside a spec and a profile."""
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(SPEC))
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump({"image": {"repository": "registry/team"}}))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("TENCH_RETRY_DEADLINE_S", "1")

    def call(*arguments, **more):
        return call_tench(*arguments, cwd=tmp_path, env=environment(**more))

    return call


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A cluster of that JSON, which the environment leads to."""
    servers = []

    def serve(objects):
        servers.append(KubeServer(tmp_path, objects).__enter__())
        monkeypatch.setenv("KUBECONFIG", str(servers[-1].kubeconfig))
        return servers[-1]

    yield serve
    for server in servers:
        server.__exit__()


def rendered(text):
    return [each for each in yaml.safe_load_all(text) if each]


def rayjob(run_id, status, name="job", **metadata):
    labels = {"app.kubernetes.io/name": "tench", "app.kubernetes.io/instance": "", "tench/run-id": run_id}
    metadata = {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels, **metadata}
    return {
        "metadata": {**metadata, "annotations": {"tench/output-uri": "s3://results/runs"}},
        "spec": {},
        "status": status,
    }


# Release and values


@needs_helm
def test_release_run_and_folder_have_one_name():
    found = release()
    (configmap,) = (each for each in found.objects if each["kind"] == "ConfigMap")
    assert found.name == RUN_ID == found.rayjob["metadata"]["labels"]["tench/run-id"]
    assert found.rayjob["metadata"]["labels"]["app.kubernetes.io/instance"] == RUN_ID
    assert found.rayjob["spec"]["entrypoint"].endswith(f" {RUN_ID}")
    assert yaml.safe_load(configmap["data"]["job.yaml"]) == SPEC, "the user's keys alone"


@needs_helm
def test_what_changes_the_infrastructure_of_the_job_is_taken_over():
    assert release("job.compute.concurrency=5").spec.compute.concurrency == 5


@needs_helm
@pytest.mark.parametrize("value", ["job.source.limit=3", "job.model.top_k=2", "job.output.uri=s3://other/"])
def test_what_changes_the_run_is_refused(value):
    with pytest.raises(UsageError, match="change the spec instead"):
        release(value)


@needs_helm
def test_a_run_id_that_helm_does_not_take_is_refused():
    with pytest.raises(UsageError, match="'My_run' cannot name a Helm release"):
        release(run_id="My_run")


@needs_helm
def test_odd_characters_reach_the_chart_as_they_are():
    uri = "s3://images/ünï 'q\" 😀 {{x}} \\n: #"
    found = release(spec={**SPEC, "source": {"uri": uri}})
    assert found.spec.source.uri == uri


def test_helms_yaml_is_json_without_what_yaml_alone_has():
    assert json.loads(to_helm_yaml({"a": "\u2028\x85 😀"})) == {"a": "\u2028\x85 😀"}
    assert "\u2028" not in to_helm_yaml({"a": "\u2028"})


@needs_helm
def test_an_upgrade_is_told_by_the_kinds_it_changes():
    found = release()
    assert differing(found, found.manifest) == []
    assert differing(release("workers.memory=30Gi"), found.manifest) == ["RayJob"]
    assert differing(release("job.compute.batch_size=64"), found.manifest) == ["ConfigMap", "RayJob"]


# render


@needs_helm
def test_render_prints_what_helm_would_apply_and_asks_no_cluster(tench):
    done = tench("render", "job.yaml", "-f", "cluster.yaml", "--set", "workers.cpus=9", "-n", "vision")
    assert done.returncode == 0, done.stderr
    (found,) = (each for each in rendered(done.stdout) if each["kind"] == "RayJob")
    worker = found["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    assert worker["image"].startswith("registry/team:")
    assert worker["resources"]["requests"]["cpu"] == "9"
    assert found["metadata"]["namespace"] == "vision"


@needs_helm
def test_render_writes_a_file_for_a_run(tench, tmp_path):
    done = tench("render", "job.yaml", "-n", "vision", "--to", "git")
    assert done.stdout.strip() == f"git/{RUN_ID}.yaml"
    written = (tmp_path / "git" / f"{RUN_ID}.yaml").read_text()
    assert written == tench("render", "job.yaml", "-n", "vision").stdout
    assert tench("render", "job.yaml", "-n", "vision", "--to", "x/run.yml").stdout.strip() == "x/run.yml"


@needs_helm
def test_a_profile_is_found_and_named(tench, tmp_path):
    home = tmp_path / "home" / ".config" / "tench"
    home.mkdir(parents=True)
    (home / "profile.yaml").write_text("image: {repository: registry/home}\n")
    at_home = tench("render", "job.yaml")
    assert f"profile: {home}/profile.yaml" in at_home.stderr
    assert "registry/home:" in at_home.stdout
    by_variable = tench("render", "job.yaml", TENCH_PROFILE="cluster.yaml")
    assert "profile: cluster.yaml" in by_variable.stderr
    assert "registry/team:" in by_variable.stdout
    by_option = tench("render", "job.yaml", "-f", "cluster.yaml")
    assert (by_option.stderr, by_option.stdout) == ("", by_variable.stdout)
    missing = tench("render", "job.yaml", TENCH_PROFILE="nowhere.yaml")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "TENCH_PROFILE is 'nowhere.yaml'" in missing.stderr


@needs_helm
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "wokers.cpus=3"), "additional properties 'wokers' not allowed"),
        (("--set-string", "x=y"), "No such option"),
        (("--set", "auth.mode=token,workers.gpus=0"), "ERROR: workers.gpus is 0 and job.compute.gpus_per_replica is 1"),
        (("-f", "nowhere.yaml"), "nowhere.yaml: no such file"),
        (("--chart", "nowhere"), "nowhere"),
        (("--run-id", "A/b"), "the run id 'A/b' names no folder below output.uri"),
        (("--run-id", "A_b"), "--run-id 'A_b' cannot name a Helm release"),
    ],
)
def test_wrong_values_are_exit_2_in_the_charts_own_words(tench, arguments, words):
    done = tench("render", "job.yaml", *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@needs_helm
def test_a_relative_path_is_refused_with_the_field(tench, tmp_path):
    (tmp_path / "here.yaml").write_text(yaml.safe_dump({**SPEC, "source": {"uri": "images"}}))
    done = tench("render", "here.yaml")
    assert done.returncode == 2
    assert "ERROR: job.source.uri is images, a path of your machine; give s3://…" in done.stderr


def test_without_helm_the_way_out_is_its_installation(tench, tmp_path):
    done = tench("render", "job.yaml", PATH=str(tmp_path))
    assert done.returncode == 3
    assert "https://helm.sh/docs/intro/install" in done.stderr


@pytest.fixture
def fake_helm(tmp_path, monkeypatch):
    """A `helm` of some version, alone on PATH, that notes its calls."""
    program, calls = tmp_path / "bin" / "helm", tmp_path / "calls"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent))

    def of(version):
        calls.unlink(missing_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" >>{calls}\necho {version}\n')
        program.chmod(0o755)
        return lambda: calls.read_text().splitlines()

    return of


def test_a_helm_that_is_too_old_is_named(tench, fake_helm):
    fake_helm("v3.7.2+g663a896")
    done = tench("render", "job.yaml")
    assert done.returncode == 3
    assert "is v3.7, and 3.8 is the oldest that will do" in done.stderr


@pytest.mark.parametrize(("version", "options"), [("v3.19.0", []), ("v4.3.1", ["--server-side=false"])])
def test_helm_4_leaves_to_others_what_they_have_written(fake_helm, version, options):
    calls = fake_helm(version)
    helm = Helm(None, "vision")
    values = ChartValues("charts/tench", (), (), {}, {})
    helm.template("pets", values)
    helm.install("pets", values)
    helm.upgrade("pets", values)
    told = {call.split()[0]: [word for word in call.split() if "server-side" in word] for call in calls()}
    assert told == {"version": [], "template": [], "install": options, "upgrade": options}


# submit and plan


@needs_helm
def test_a_cluster_that_does_not_answer_is_exit_3(tench):
    done = tench("submit", "job.yaml")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no cluster" in done.stderr


@needs_helm
def test_dry_run_prints_what_would_be_applied_for_the_operator_that_is_there(tench, served, s3, tmp_path):
    spec = {**SPEC, "output": {"uri": f"{s3.uri}/runs", "rows_per_file": 100}}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec))
    objects = cluster()
    objects["/apis/apps/v1/deployments"]["items"][0]["spec"]["template"]["spec"]["containers"][0]["image"] = "k:v1.5.2"
    served(objects)
    done = tench("submit", "job.yaml", "--dry-run")
    assert done.returncode == 0, done.stderr
    (found,) = (each for each in rendered(done.stdout) if each["kind"] == "RayJob")
    assert "preRunningDeadlineSeconds" not in found["spec"], "KubeRay 1.5 knows none"
    named = tench("submit", "job.yaml", "--dry-run", "--set", "kuberay.version=1.6")
    assert "preRunningDeadlineSeconds" in named.stdout, "the user's version goes before the operator's"


# cancel


def test_cancel_of_what_is_not_there_is_exit_2(tench, served):
    served(cluster(**{RAYJOBS: items(rayjob("pets-1", {}))}))
    done = tench("cancel", "pets-2")
    assert done.returncode == 2
    assert "no run 'pets-2' in the namespace vision" in done.stderr


def test_cancel_of_what_has_ended_leaves_it(tench, served):
    server = served(
        cluster(**{RAYJOBS: items(rayjob("pets-1", {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}))})
    )
    done = tench("cancel", "pets-1")
    assert (done.returncode, done.stdout) == (0, "pets-1\n"), done.stderr
    assert "has failed already" in done.stderr
    assert server.deleted == []


@needs_helm
def test_cancel_deletes_a_rayjob_that_helm_does_not_know(tench, served):
    server = served(cluster(**{RAYJOBS: items(rayjob("pets-1", {"jobDeploymentStatus": "Running"}))}))
    done = tench("cancel", "pets-1")
    assert (done.returncode, done.stdout) == (0, "pets-1\n"), done.stderr
    assert server.deleted == [f"{RAYJOBS}/job"]
    assert "what is committed stays in s3://results/runs/pets-1" in done.stderr
    assert "tench submit" in done.stderr


# gc


@pytest.mark.parametrize(("text", "hours"), [("7d", 168), ("12h", 12), ("90m", 1.5), ("2w", 336), ("0s", 0)])
def test_ages_are_a_number_and_a_unit(text, hours):
    assert parse_age(text) == datetime.timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "7 d", "1y"])
def test_what_is_no_age_is_refused(text):
    with pytest.raises(UsageError, match="such as 7d"):
        parse_age(text)


@needs_helm
def test_gc_removes_what_ended_long_ago_after_showing_it(tench, served):
    now = datetime.datetime.now(datetime.UTC).isoformat()
    ended = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
    jobs = [
        rayjob("old", {**ended, "endTime": "2026-01-02T00:00:00Z"}, name="old"),
        rayjob("new", {**ended, "endTime": now}, name="new"),
        rayjob("runs", {"jobDeploymentStatus": "Running"}, name="runs"),
        rayjob("refused", {"jobDeploymentStatus": "ValidationFailed"}, name="refused"),
    ]
    server = served(cluster(**{RAYJOBS: items(*jobs)}))
    shown = tench("gc", "--dry-run", "-o", "json")
    assert json.loads(shown.stdout) == {"rayjobs": ["old", "refused"], "folders": []}, shown.stderr
    assert "RayJob old, run old, succeeded 2026-01-0" in shown.stderr
    unasked = tench("gc")
    assert (unasked.returncode, server.deleted) == (2, [])
    assert "--yes removes what is shown" in unasked.stderr
    done = tench("gc", "--yes")
    assert (done.returncode, done.stdout) == (0, "old\nrefused\n"), done.stderr
    assert server.deleted == [f"{RAYJOBS}/old", f"{RAYJOBS}/refused"]


def a_folder(root, run_id, created="2026-01-01T00:00:00+00:00", updated=None, success=False):
    folder = root / run_id
    (folder / "predictions").mkdir(parents=True)
    plan = {"run_id": run_id, "fingerprint": "", "spec": SPEC, "images": 1, "bytes": 1, "shards": 1, "rows_per_file": 1}
    (folder / "plan.json").write_text(json.dumps(plan | {"parts": [], "versions": {}, "created": created}))
    (folder / "predictions" / "shard-00000.parquet").write_bytes(b"12345")
    if updated:
        (folder / "progress.json").write_text(json.dumps({"updated": updated}))
    if success:
        (folder / "_SUCCESS").write_text("{}")
    return folder


BEFORE = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


def test_abandoned_is_planned_and_unfinished_and_untouched_and_of_no_rayjob(tmp_path):
    a_folder(tmp_path, "abandoned", updated="2026-02-01T00:00:00+00:00")
    a_folder(tmp_path, "complete", success=True)
    a_folder(tmp_path, "touched", updated="2026-07-01T00:00:00+00:00")
    a_folder(tmp_path, "new", created="2026-07-01T00:00:00+00:00")
    a_folder(tmp_path, "queued")
    (a_folder(tmp_path, "damaged") / "progress.json").write_bytes(b'{"updated": "2026-07')
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    (found,) = find_abandoned(str(tmp_path), BEFORE, frozenset({"queued"}))
    assert (found.run_id, found.objects) == ("abandoned", 3)
    assert found.touched.month == 2
    assert delete_folder(found)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "complete",
        "damaged",
        "mine",
        "new",
        "queued",
        "touched",
    ]


def test_a_folder_that_is_touched_meanwhile_stays(tmp_path):
    folder = a_folder(tmp_path, "abandoned")
    (found,) = find_abandoned(str(tmp_path), BEFORE, frozenset())
    (folder / "progress.json").write_text(json.dumps({"updated": "2026-02-01T00:00:00+00:00"}))
    assert not delete_folder(found)
    assert (folder / "predictions" / "shard-00000.parquet").exists()


@needs_helm
def test_gc_with_data_removes_folders_of_a_bucket(tench, served, s3, tmp_path):
    for path in [*a_folder(tmp_path / "up", "abandoned").rglob("*"), *a_folder(tmp_path / "up", "busy").rglob("*")]:
        if path.is_file():
            s3.put(f"runs/{path.relative_to(tmp_path / 'up')}", path.read_bytes())
    served(cluster(**{"/apis/ray.io/v1/rayjobs": items(rayjob("busy", {"jobDeploymentStatus": "Running"}))}))
    done = tench("gc", "--data", f"{s3.uri}/runs", "--yes")
    assert (done.returncode, done.stdout) == (0, f"{s3.uri}/runs/abandoned\n"), done.stderr
    assert "2 objects" in done.stderr
    left = [each["Key"] for each in s3.client.list_objects_v2(Bucket=s3.name)["Contents"]]
    assert left == ["runs/busy/plan.json", "runs/busy/predictions/shard-00000.parquet"]
