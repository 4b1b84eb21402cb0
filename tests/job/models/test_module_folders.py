"""Where a user's module is found, and what the names of the files beside it do to a run: nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from colours import write_images
from run_specs import make_spec
from tench_command import environment

TESTS = Path(__file__).parents[2]
# Of Python's own, of what Tench is made of, and of its own, each of which a run imports sooner or later.
NAMES = [
    "secrets",
    "statistics",
    "csv",
    "xml",
    "PIL",
    "simplejpeg",
    "pyarrow",
    "torch",
    "boto3",
    "yaml",
    "tench",
    "colorsys",
]
TENCH = [sys.executable, "-P", "-c", "from tench.launcher.cli import main; main()", "run"]
JOB = [sys.executable, "-m", "job"]


@pytest.fixture
def folders(tmp_path):
    """A working folder full of files with unlucky names, and one with a spec and the module of its model."""
    here, beside = tmp_path / "here", tmp_path / "specs"
    here.mkdir(), beside.mkdir()
    for name in [*NAMES, "job"]:
        (here / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the working folder was imported')\n")
    write_images(tmp_path / "images", 12)
    (beside / "my_colours.py").write_text("from colours import Colours as make\n")
    spec = make_spec(tmp_path, model={"kind": "python", "name": "my_colours:make", "top_k": 2})
    (beside / "job.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    return here, beside


@pytest.mark.parametrize(
    "command",
    [
        TENCH,
        pytest.param([*TENCH, "--engine", "ray"], marks=pytest.mark.slow),
        pytest.param(JOB, marks=pytest.mark.slow),
    ],
    ids=["tench", "ray", "job"],
)
def test_a_run_takes_no_module_of_the_working_folder_for_another_and_finds_the_one_beside_its_spec(folders, command):
    here, _ = folders
    if command is JOB:
        (here / "job.py").unlink()  # python -m job is that one, then
    done = subprocess.run(
        [*command, "../specs/job.yaml"], cwd=here, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "top-1 100.0 %" in done.stderr
    assert "of the working folder" not in done.stderr


@pytest.mark.slow
def test_a_module_of_the_working_folder_is_found_last(folders):
    here, beside = folders
    os.rename(beside / "my_colours.py", here / "my_colours.py")
    command = [*TENCH, "--engine", "local", "../specs/job.yaml"]
    done = subprocess.run(command, cwd=here, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (here / "my_colours.py").unlink()
    done = subprocess.run(
        [*command, "--run-id", "other"], cwd=here, env=environment(), capture_output=True, text=True, check=False
    )
    assert f"there is no module my_colours; searched {here}, {beside} and the installed packages" in done.stderr
