"""A plugin of pytest: tests marked `helm` call it; where it is not on PATH they are left out, and one line says so.

`TENCH_TESTS_REQUIRE=helm` makes that an error, as .ci/run has it.
"""

import os
import shutil

import pytest

INSTALL = "install helm 3.8 or newer: https://helm.sh/docs/intro/install"
_LEFT_OUT = pytest.StashKey()  # how many tests


def pytest_configure(config):
    config.addinivalue_line("markers", "helm: calls helm; left out where it is not on PATH")
    if "helm" in os.environ.get("TENCH_TESTS_REQUIRE", "").split() and not shutil.which("helm"):
        raise pytest.UsageError(f"helm is not on PATH, and TENCH_TESTS_REQUIRE names it; {INSTALL}")


@pytest.hookimpl(trylast=True)  # of what -m and -k leave
def pytest_collection_modifyitems(config, items):
    if shutil.which("helm"):
        return
    left_out = [item for item in items if item.get_closest_marker("helm")]
    config.stash[_LEFT_OUT] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("helm")]


def pytest_sessionfinish(session):
    """A worker of xdist tells the controller, which collects nothing itself."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["helm_left_out"] = session.config.stash.get(_LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_testnodedown(node):
    # Each worker has collected all tests. One that died has no output.
    told = getattr(node, "workeroutput", {}).get("helm_left_out", 0)
    node.config.stash[_LEFT_OUT] = max(told, node.config.stash.get(_LEFT_OUT, 0))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # below the list of failures
def pytest_terminal_summary(terminalreporter, config):
    yield
    if left_out := config.stash.get(_LEFT_OUT, 0):
        line = f"helm is not on PATH: {left_out} tests of the chart were not run; {INSTALL}"
        terminalreporter.write_line(line, yellow=True)
