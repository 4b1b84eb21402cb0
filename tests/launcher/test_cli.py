"""The `tench` command as a user meets it: what goes to stdout, what to stderr, and with which exit code."""

import json
import os
import shlex
import subprocess
import sys

import pytest
import typer
import yaml
from forked_command import call_tench
from PIL import Image
from tench_command import COMMAND, environment

from tench.launcher.cli import app


def tench(*arguments, cwd, stdin=None):
    return call_tench(*arguments, cwd=cwd, stdin=stdin)


def modules_after(*arguments, cwd):
    code = """
import sys
from tench.launcher.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(sorted(sys.modules))
"""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout.splitlines()[-1]


@pytest.fixture
def job(tmp_path):
    for number, label in enumerate(("cat", "dog", "dog")):
        (tmp_path / "images" / label).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(tmp_path / "images" / label / f"{number}.jpg")
    spec = {
        "name": "pets",
        "source": {"uri": "images", "label_from": "directory"},
        "model": {"kind": "torchvision", "name": "resnet18", "weights": "none"},
        "compute": {"concurrency": 2, "cpus_per_replica": 3},
        "output": {"uri": "runs", "rows_per_file": 2},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec))
    return tmp_path


def test_plan_says_what_a_run_would_do_and_does_nothing(job):
    done = tench("plan", "job.yaml", cwd=job)
    assert done.returncode == 0
    assert done.stdout.startswith("pets-")
    assert "2: cat 1, dog 2" in done.stderr
    assert "nothing to skip, a new run" in done.stderr
    assert "limited by" in done.stderr
    assert not (job / "runs").exists()


def test_plan_in_json_for_scripts(job):
    found = json.loads(tench("plan", "-o", "json", "job.yaml", cwd=job).stdout)
    assert (found["images"], found["shards"], found["replicas"], found["cpus"]) == (3, 2, 2, 6)
    assert found["classes"] == {"cat": 1, "dog": 2}
    assert found["bytes"] == sum(path.stat().st_size for path in job.glob("images/*/*.jpg"))
    assert found["sample_uris"][0] == str(job / "images/cat/0.jpg")
    assert (found["state"], found["skipped_shards"], found["skipped_images"]) == ("new", 0, 0)
    assert found["forecast"]["seconds"] > 0


@pytest.mark.slow
def test_plan_loads_the_models_own_library_alone_and_no_ray(job):
    loaded = modules_after("plan", "job.yaml", cwd=job)
    assert "'job.results.preview'" in loaded
    assert not [name for name in ("transformers", "ray", "boto3") if f"'{name}'" in loaded]


def test_help_loads_neither_arrow_nor_a_store_client(tmp_path):
    loaded = modules_after("--help", cwd=tmp_path)
    assert "'typer'" in loaded
    assert not [name for name in ("pyarrow", "obstore", "boto3", "kubernetes", "torch") if f"'{name}'" in loaded]


def test_a_spec_may_come_from_standard_input(job):
    done = tench("plan", "-", cwd=job, stdin=(job / "job.yaml").read_text())
    assert done.stdout == tench("plan", "job.yaml", cwd=job).stdout


def test_a_wrong_spec_is_exit_2_with_every_problem(job):
    done = tench("run", "-", cwd=job, stdin="name: Pets\nsauce: {}\nmodel: {kind: torchvision, name: resnet51}")
    assert done.returncode == 2
    assert done.stdout == ""
    for problem in (
        "sauce: ",
        "did you mean source",
        "name: ",
        "model.name: ",
        "did you mean resnet50",
        "output.uri: is required",
    ):
        assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("call", [["run"], ["run", "nowhere.yaml"], ["fly"], ["run", "job.yaml", "--engine", "dask"]])
def test_a_wrong_call_is_exit_2(job, call):
    done = tench(*call, cwd=job)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_an_empty_source_is_exit_3_and_nothing_is_written(job):
    spec = yaml.safe_load((job / "job.yaml").read_text())
    spec["source"]["uri"] = "nothing-here"
    done = tench("run", "-", cwd=job, stdin=yaml.safe_dump(spec))
    assert done.returncode == 3
    assert "nothing-here" in done.stderr
    assert not (job / "runs").exists()


MODEL = """
import torch
from job.recipe import Exactly, Recipe

class Brightness:
    recipe = Recipe(Exactly(32, 32))
    labels = ["dark", "bright"]

    def __init__(self, spec, device):
        pass

    def predict(self, images):
        bright = images.float().mean((1, 2, 3)) / 255
        return torch.stack([1 - bright, bright], 1)
"""


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_model_beside_the_spec_is_found_by_an_installed_command(job, engine):
    """It searches its own folder, and not the working folder as `python -c` does."""
    spec = yaml.safe_load((job / "job.yaml").read_text())
    spec |= {"model": {"kind": "python", "name": "brightness_of_pets:Brightness"}, "source": {"uri": "images"}}
    (job / "job.yaml").write_text(yaml.safe_dump(spec))
    (job / "brightness_of_pets.py").write_text(MODEL)
    (job / "bin").mkdir()
    (job / "bin" / "tench").write_text("from tench.launcher.cli import main\nmain()\n")
    command = [sys.executable, str(job / "bin" / "tench"), "run", "job.yaml", "--engine", engine, "-o", "json"]
    done = subprocess.run(command, cwd=job, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["rows"], json.loads(done.stdout)["failed"]) == (3, 0)


def test_more_gpus_than_there_are_is_exit_3(job):
    spec = yaml.safe_load((job / "job.yaml").read_text())
    spec["compute"] = {"concurrency": 200, "gpus_per_replica": 1}
    done = tench("run", "-", cwd=job, stdin=yaml.safe_dump(spec))
    assert done.returncode == 3
    assert "200 replicas of 1 GPUs and this machine has" in done.stderr


def changed(job, **sections):
    spec = yaml.safe_load((job / "job.yaml").read_text())
    return yaml.safe_dump(
        {name: {**value, **sections.get(name, {})} if name in sections else value for name, value in spec.items()}
    )


REFUSED = {
    "output": ({"output": {"uri": "job.yaml/runs"}}, "output.uri: ", "job.yaml is a file; name another folder"),
    "gpus": ({"compute": {"concurrency": 200, "gpus_per_replica": 1}}, "compute asks for 200 replicas of 1 GPUs", ""),
    "labels": ({"model": {"labels": "none.json"}}, "model.labels: there is nothing at none.json", ""),
    "weights": ({"model": {"weights": "none.pth"}}, "model.weights: there is no file ", "/none.pth"),
    "folder": ({"model": {"kind": "transformers", "name": "./vit"}}, "model.name: there is no folder ", "/vit"),
    "module": (
        {"model": {"kind": "python", "name": "no_such_one:make"}},
        "model.name: there is no module no_such_",
        "",
    ),
    "source": (
        {"source": {"uri": "images/cat/0.parquet"}},
        "source.uri: ",
        "0.parquet is read with source.kind: parquet",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_plan_refuses_what_a_run_would_in_the_same_words(job, what):
    (job / "images" / "cat" / "0.parquet").write_bytes(b"PAR1")
    sections, begin, end = REFUSED[what]
    said = []
    for command in ("plan", "run"):
        done = tench(command, "-", cwd=job, stdin=changed(job, **sections))
        assert (done.returncode, done.stdout) == (3, "")
        said.append(done.stderr.splitlines()[-1])
    assert said[0] == said[1]
    assert said[0].startswith(f"tench: {begin}")
    assert end in said[0]
    assert not (job / "runs").exists()


def test_a_plan_tells_all_that_a_run_would_refuse_and_force_goes_on(job):
    wrong = changed(job, model={"labels": "none.json"}, output={"uri": "job.yaml"})
    done = tench("plan", "-", "-o", "json", cwd=job, stdin=wrong)
    assert done.returncode == 3
    assert "tench: tench run would refuse 2 things here:\n  model.labels: " in done.stderr
    assert [each.split(": ")[0] for each in json.loads(done.stdout)["problems"]] == ["model.labels", "output.uri"]
    done = tench("plan", "-", "--force", cwd=job, stdin=wrong)
    assert (done.returncode, done.stdout.startswith("pets-")) == (0, True)


def test_a_plan_asks_a_bucket_whether_it_may_be_written_and_leaves_nothing_there(job, s3, flaky):
    for fault, code in ((None, 0), (403, 3)):
        flaky.fail(fault, method="PUT")
        done = tench("plan", "-", cwd=job, stdin=changed(job, output={"uri": f"{s3.uri}/runs"}))
        assert done.returncode == code, done.stderr
        assert ("output.uri: " in done.stderr) == bool(code)
        assert "Contents" not in s3.client.list_objects_v2(Bucket=s3.name)


def test_a_run_id_names_one_folder_below_the_output(job):
    as_on_a_cluster = [sys.executable, "-m", "job", "job.yaml"]
    for run_id in ("a/b", ".", "new\nline"):
        commands = ("plan", "run") if run_id == "a/b" else ("run",)
        calls = [tench(command, "job.yaml", "--run-id", run_id, cwd=job) for command in commands]
        options = {"cwd": job, "env": environment(), "capture_output": True, "text": True, "check": False}
        calls += [subprocess.run([*as_on_a_cluster, run_id], **options)] if run_id == "." else []
        for done in calls:
            assert (done.returncode, done.stdout) == (2, "")
            assert f"the run id {run_id!r} names no folder below output.uri" in done.stderr
    assert not (job / "runs").exists()


def test_the_same_file_in_two_folders_is_two_runs(job, tmp_path_factory):
    spec = {**yaml.safe_load((job / "job.yaml").read_text()), "output": {"uri": str(tmp_path_factory.mktemp("runs"))}}
    theirs = tmp_path_factory.mktemp("theirs")
    Image.new("RGB", (40, 30)).save((theirs / "images").mkdir() or theirs / "images" / "only.jpg")
    found = []
    for folder in (job, theirs, job):
        done = tench("run", "-", "-o", "json", cwd=folder, stdin=yaml.safe_dump(spec))
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert [each["rows"] for each in found] == [3, 1, 3]
    assert found[0]["uri"] == found[2]["uri"] != found[1]["uri"]


def test_the_options_are_few_and_stay_as_promised():
    commands = typer.main.get_command(app).commands
    options = {name: sorted(o for p in command.params for o in p.opts) for name, command in commands.items()}
    cluster, output = ["--context", "--namespace", "-n"], ["--output", "-o"]
    values = ["--chart", "--set", "--values", "-f"]
    spec = ["--run-id", "spec"]
    asked = ["--force", "--images-per-second"]
    assert options == {
        "run": ["--accept-changed-model", "--engine", "--output", "--run-id", "-o", "spec"],
        "plan": sorted([*spec, *cluster, *values, *asked, *output]),
        "submit": sorted(
            [*spec, *cluster, *values, *asked, *output, "--dry-run", "--upgrade", "--watch", "--yes", "-y"]
        ),
        "watch": sorted([*cluster, "--timeout", "run"]),
        "status": sorted([*cluster, *output, "run"]),
        "list": sorted([*cluster, *output]),
        "logs": sorted([*cluster, "--follow", "--tail", "--worker", "--workers", "-f", "run"]),
        "cancel": sorted([*cluster, "run"]),
        "render": sorted([*spec, "--namespace", "-n", *values, "--to"]),
        "gc": sorted([*cluster, *output, "--data", "--dry-run", "--older-than", "--yes", "-y"]),
        "collect": [
            *("--context", "--format", "--merge", "--namespace", "--output", "--partial", "--to", "--where"),
            *("-n", "-o", "run"),
        ],
        "verify": ["--context", "--namespace", "--output", "-n", "-o", "run"],
    }


def test_every_command_has_an_example_that_it_takes():
    for name, command in typer.main.get_command(app).commands.items():
        program, called, *arguments = shlex.split(command.epilog.removeprefix("Example: "))
        assert (program, called) == ("tench", name)
        command.make_context(name, arguments)


def test_a_shell_can_complete_the_commands(tmp_path):
    asked = {"_TENCH_COMPLETE": "complete_bash", "COMP_WORDS": "tench ca", "COMP_CWORD": "1"}
    command = COMMAND
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **asked}, capture_output=True, text=True)
    assert done.stdout.split() == ["cancel"]


def test_verbose_adds_the_traceback_and_keeps_the_exit_code(tmp_path):
    done = tench("-v", "plan", "none.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.rstrip().splitlines()[-1].startswith("tench: ")
