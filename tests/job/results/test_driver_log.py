"""The driver's log in the run's folder: what a Ray job prints, to its last line, and never the end of a run."""

import json
import os
import subprocess
import sys

import pytest

from job.plan.paths import RunPaths
from job.results import driver_log
from job.results.driver_log import DriverLogCopy, find_log

FAILING = """
import sys
from pathlib import Path
from job.results import driver_log
from job.terminal.console import end_with
from job.errors import RunFailed
from job.plan.paths import RunPaths

driver_log.RAY_LOGS = Path(sys.argv[1])

def run():
    driver_log.keep_log(RunPaths(sys.argv[2], "pets"))
    print("before")
    raise RunFailed("no such bucket")

end_with(run, verbose=False)
"""


@pytest.fixture
def ray_job(tmp_path, monkeypatch):
    """As Ray starts a driver: it names the job, and redirects what is printed."""
    logs = tmp_path / "ray"
    logs.mkdir()
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"metadata": {"job_submission_id": "pets-dnjsx"}}))
    return logs / "job-driver-pets-dnjsx.log"


def kept(tmp_path):
    (file,) = (tmp_path / "runs" / "pets" / "logs").iterdir()
    return file


def test_what_is_printed_last_is_kept_and_the_exit_code_is_the_runs(ray_job, tmp_path):
    with ray_job.open("wb") as log:
        command = [sys.executable, "-c", FAILING, str(ray_job.parent), str(tmp_path / "runs")]
        done = subprocess.run(command, stdout=log, stderr=log, env=os.environ, check=False)
    assert done.returncode == 1
    assert kept(tmp_path).read_text() == "before\ntench: no such bucket\n"
    assert kept(tmp_path).name.startswith("driver-20")


def test_an_output_that_cannot_be_written_changes_nothing(ray_job, tmp_path):
    (tmp_path / "runs").write_text("a file, no folder")
    with ray_job.open("wb") as log:
        command = [sys.executable, "-c", FAILING, str(ray_job.parent), str(tmp_path / "runs")]
        done = subprocess.run(command, stdout=log, stderr=log, env=os.environ, check=False)
    assert done.returncode == 1
    assert ray_job.read_text() == "before\ntench: no such bucket\n"


def test_the_folder_of_a_run_that_is_complete_is_left_as_it_is(ray_job, tmp_path):
    ray_job.write_text("")
    (tmp_path / "runs" / "pets").mkdir(parents=True)
    (tmp_path / "runs" / "pets" / "_SUCCESS").write_text("{}")
    command = [sys.executable, "-c", FAILING, str(ray_job.parent), str(tmp_path / "runs")]
    subprocess.run(command, capture_output=True, env=os.environ, check=False)
    assert [path.name for path in (tmp_path / "runs" / "pets").iterdir()] == ["_SUCCESS"]


def test_it_is_bounded_and_begins_with_a_whole_line(ray_job, tmp_path, monkeypatch):
    monkeypatch.setattr(driver_log, "MAX_BYTES", 100)
    ray_job.write_text("".join(f"line {number:04d}\n" for number in range(50)))
    DriverLogCopy(ray_job, RunPaths(str(tmp_path / "runs"), "pets"), "20261121T220000Z").copy()
    lines = kept(tmp_path).read_text().splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("line 0041", "line 0049", 9)


def test_it_is_copied_again_where_it_grew_alone(ray_job, tmp_path):
    ray_job.write_text("one\n")
    log = DriverLogCopy(ray_job, RunPaths(str(tmp_path / "runs"), "pets"), "20261121T220000Z")
    log.copy()
    kept(tmp_path).write_text("as it was")
    log.copy()
    assert kept(tmp_path).read_text() == "as it was"
    ray_job.write_text("one\ntwo\n")
    log.copy()
    assert kept(tmp_path).read_text() == "one\ntwo\n"


def test_outside_a_ray_job_there_is_none(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert find_log(tmp_path) is None
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"metadata": {"job_submission_id": "gone"}}))
    assert find_log(tmp_path) is None
