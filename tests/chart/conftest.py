"""The chart's tests need `helm`, and nothing of a cluster."""

import shutil

import pytest


@pytest.fixture(autouse=True, scope="session")
def _helm_is_installed() -> None:
    if not shutil.which("helm"):
        pytest.skip("helm is not on PATH")
