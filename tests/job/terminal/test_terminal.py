"""A run on a real terminal: a bar that moves, log lines without their logger's name, the answer on standard output."""

import re

import pytest
import yaml
from colours import write_images
from run_specs import make_spec
from tench_command import on_a_terminal

from job.plan.plan import run_paths

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[78]")


def run_on_a_terminal(folder, **more):
    """What the terminal shows, line by line as it was written, and what standard output got."""
    shown, answer = on_a_terminal("run", "job.yaml", cwd=folder, **more)
    return re.split(r"[\r\n]+", shown), answer


@pytest.fixture
def job(tmp_path):
    write_images(tmp_path / "images", 60)
    spec = make_spec(tmp_path)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    return tmp_path, run_paths(spec).uri


def test_a_terminal_gets_a_bar_and_plain_words(job, monkeypatch):
    folder, uri = job
    monkeypatch.setenv("COLOURS_SECONDS_PER_IMAGE", "0.02")
    shown, answer = run_on_a_terminal(folder)
    plain = [ESCAPES.sub("", line) for line in shown]
    bars = [line for line in plain if "/60" in line]
    assert len({line for line in bars if "images/s" in line}) >= 3
    assert re.search(r"60/60 \d+ images/s, no failures 0:00:00 left", bars[-1])
    assert not [line for line in plain if "job.run" in line]
    assert [line for line in plain if "60 of 60 images, no failures" in line]
    assert any("\x1b[3" in line for line in shown)
    assert answer == f"{uri}\n"


@pytest.mark.slow
def test_no_color_is_heard(job):
    shown, _ = run_on_a_terminal(job[0], NO_COLOR="1")
    assert not [line for line in shown if re.search(r"\x1b\[3\d", line)]
