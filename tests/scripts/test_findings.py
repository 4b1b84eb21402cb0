"""The scripts of findings/ as text: what CI can hold of them, for it runs none."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
HEAD = ("Software", "Expected", "Happens", "Matters", "Tench", "Seen")

each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def shell_lines(script: Path) -> list[str]:
    """The shell's own lines, continued ones joined; without comments and the programs that it feeds to Python."""
    text = re.sub(r"<<'PYTHON'\n.*?\nPYTHON\n", "\n", script.read_text(), flags=re.DOTALL)
    return [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#")]


def head(script: Path) -> dict[str, str]:
    """The parts of the comment at the top by their names."""
    comment = script.read_text().partition("set -euo pipefail")[0]
    parts = re.split(r"^# ([A-Z][a-z]+)  +", comment, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def installed(script: Path) -> list[str]:
    """What its calls of pip install, as it is written there."""
    words = [shlex.split(line) for line in shell_lines(script) if "pip install" in line]
    calls = [call[call.index("install") + 1 :] for call in words]
    targets = {call[call.index("--target") + 1] for call in calls if "--target" in call}
    return [word for call in calls for word in call if not word.startswith("-") and word not in targets]


def test_there_are_findings():
    assert SCRIPTS


@each_script
def test_a_finding_is_a_bash_program_that_can_be_run(script):
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n# ")
    subprocess.run(["bash", "-n", script], check=True)


@each_script
def test_a_finding_stops_at_the_first_error_and_leaves_nothing_behind(script):
    lines = shell_lines(script)
    start = lines.index("set -euo pipefail")
    assert lines[start + 1 : start + 4] == ["folder=$(mktemp -d)", "trap 'rm -rf \"$folder\"' EXIT", 'cd "$folder"']


@each_script
def test_a_finding_pins_every_package_it_installs(script):
    packages = installed(script)
    assert packages
    assert [each for each in packages if not re.fullmatch(r"[a-z0-9-]+(\[[a-z0-9]+\])?==[0-9.]+", each)] == []


@each_script
def test_a_finding_installs_into_its_own_folder_from_the_default_index(script):
    calls = [line.split()[0] for line in shell_lines(script) if "pip install" in line]
    assert set(calls) == {"venv/bin/pip"}
    assert not re.search(r"index-url|find-links|--extra-index|https?://(?!127\.0\.0\.1|\{)", script.read_text())


@each_script
def test_a_finding_runs_without_tench(script):
    assert not re.search(r"^\s*(from|import) (tench|job|scripts)\b", script.read_text(), re.MULTILINE)


@each_script
def test_a_finding_says_what_it_is_about_and_when_that_changed(script):
    assert tuple(head(script)) == HEAD
    assert "changed: " in script.read_text().partition("set -euo pipefail")[2]


@each_script
def test_a_finding_names_files_that_are_there(script):
    named = re.findall(r"\b(?:job|scripts|tench|charts)/[\w/]+\.\w+", head(script)["Tench"])
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


@each_script
def test_a_finding_states_the_versions_that_it_installs(script):
    stated = head(script)["Software"]
    assert [each for each in installed(script) if each.partition("==")[2] not in stated] == []


def test_the_table_has_a_row_for_each_finding_with_its_software():
    rows = re.findall(r"^\| \[(.+)\]\((.+)\) \| (.+) \| .+ \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert [(text, link) for text, link, _ in rows] == [(script.name, script.name) for script in SCRIPTS]
    for _, link, software in rows:
        versions = re.findall(r"\d+\.\d+\.\d+", software)
        assert versions
        assert [version for version in versions if version not in head(FOLDER / link)["Software"]] == []
