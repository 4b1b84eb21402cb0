"""Without helm on PATH: what is tested all the same, what is said of the rest, and where that is an error."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = "install helm 3.8 or newer: https://helm.sh/docs/intro/install"
PYTEST = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "pytest_timeout"]


@pytest.fixture
def run(tmp_path):
    """Runs a command where nothing is on PATH but what the test puts into a folder."""

    def run(*command, cwd=ROOT, **variables):
        ours = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "TENCH_"))}
        # Without it, pytest rewrites the asserts of all that its plugins are made of.
        ours["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        environment = {**ours, "PATH": str(tmp_path / "bin"), **variables}
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)

    return run


@pytest.mark.parametrize("processes", ["-n0", pytest.param("-n2", marks=pytest.mark.slow)])
def test_the_tests_that_call_it_are_left_out_and_one_line_counts_them(run, processes):
    notes = "tests/chart/test_notes.py::test_a_cluster_s_notes_say_how_to_run_on_it"
    golden = "tests/chart/test_golden.py::test_the_values_for_the_chart_s_own_check_pass_the_strict_lint"
    other = "tests/scripts/test_generate.py::test_the_committed_file_is_fresh[job/spec.schema.json]"
    done = run(*PYTEST, processes, notes, golden, other)
    said = re.findall("^.*helm is not.*$", done.stdout + done.stderr, re.MULTILINE)
    assert said == [f"helm is not on PATH: 2 tests of the chart were not run; {INSTALL}"]
    assert "1 passed" in done.stdout


def test_where_it_is_asked_for_nothing_runs(run):
    done = run(*PYTEST, "-n2", "tests/chart/test_notes.py", TENCH_TESTS_REQUIRE="helm")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.strip() == f"ERROR: helm is not on PATH, and TENCH_TESTS_REQUIRE names it; {INSTALL}"
    assert done.stdout == ""


@pytest.fixture
def ci(tmp_path, run):
    """Runs a copy of .ci/run that finds what it calls before its tests; `make` tells what it is asked for."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "dirname", "mkdir", "sh", "tail"):
        (programs / name).symlink_to(shutil.which(name))
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")

    def program(name, script):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
        return str(programs / name)

    program("make", 'echo "make $@"')
    program("chromium", "")
    return lambda bringing="": run(
        str(tmp_path / ".ci" / "run"), cwd=tmp_path, CLUSTER_UP=program("up", bringing) if bringing else "/none"
    )


def test_ci_ends_before_it_does_anything(ci):
    done = ci()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"helm is not on PATH, and the chart's tests call it; {INSTALL}\n"


@pytest.mark.parametrize(
    "bringing", ["echo export BROUGHT=1", pytest.param("echo no Docker >&2; exit 1", marks=pytest.mark.slow)]
)
def test_ci_ends_before_its_tests_where_what_brings_a_cluster_brings_no_helm(ci, bringing):
    done = ci(bringing)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "make setup"
    assert "make lint" not in done.stdout
    assert done.stderr.endswith(f"helm is not on PATH, and the chart's tests call it; {INSTALL}\n")
