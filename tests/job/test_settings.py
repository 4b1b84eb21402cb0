"""Environment variables: read when they are asked for, refused in words."""

import re
from pathlib import Path

import pytest

import job
from job.errors import UsageError
from job.settings import CACHE, CAPACITY_TIMEOUT_S, RETRY_DEADLINE_S, VARIABLES
from job.stores.retry import RetryPolicy

SOURCES = [Path(job.__file__).parent, Path(job.__file__).parents[1] / "scripts" / "launcher"]


def test_a_variable_is_read_when_it_is_asked_for(monkeypatch):
    monkeypatch.delenv(RETRY_DEADLINE_S.name, raising=False)
    assert RetryPolicy.from_environment().deadline_s == 180.0
    monkeypatch.setenv(RETRY_DEADLINE_S.name, "2.5")
    assert RetryPolicy.from_environment().deadline_s == 2.5
    monkeypatch.setenv(CAPACITY_TIMEOUT_S.name, "")
    assert CAPACITY_TIMEOUT_S.value() == 600.0
    monkeypatch.setenv(CACHE.name, "/data/cache")
    assert CACHE.value() == "/data/cache"


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_what_is_no_number_of_seconds_is_refused(monkeypatch, text):
    monkeypatch.setenv(RETRY_DEADLINE_S.name, text)
    with pytest.raises(UsageError, match=f"TENCH_RETRY_DEADLINE_S is '{text}'"):
        RETRY_DEADLINE_S.value()


def test_every_variable_of_the_code_is_a_setting():
    texts = [path.read_text(encoding="utf-8") for folder in SOURCES for path in folder.rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"\bTENCH_[A-Z_]+\b", text)}
    assert named - {variable.name for variable in VARIABLES} == set()
