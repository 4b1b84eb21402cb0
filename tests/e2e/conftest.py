"""The cluster's fixtures: fresh namespaces, and the bucket. `make kind-test` makes the cluster; alone, these skip."""

import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# Those that take longest begin first, so that both workers end together.
LONGEST = [f"test_{name}.py" for name in ("warm", "runs", "launcher", "releases", "gpu", "disturbances")]


def pytest_collection_modifyitems(items):
    """Marks all here; without the cluster of `make kind-test` they have nothing to look at."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker("e2e")
    if len(ours) == len(items):
        items.sort(key=lambda item: (item.path.name not in LONGEST, *map(item.path.name.__ne__, LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What failed tells what the namespaces of its file know, before they go."""
    report = yield
    if report.failed:
        from e2e_kube import Namespace

        for namespace in Namespace.alive:
            try:
                namespace.diagnose()
            except Exception as error:  # the cluster or the store is away; raised here, it would end the session
                print(f"-- {namespace.name} does not tell more: {error}", file=sys.stderr)
    return report


def pytest_terminal_summary(terminalreporter):
    """What the tests have measured."""
    reports = [report for report in terminalreporter.stats.get("passed", []) if report.when == "call"]
    figures = [(report.location[2], *figure) for report in reports for figure in report.user_properties]
    if figures:
        terminalreporter.section("measured")
    for test, name, value in figures:
        terminalreporter.write_line(f"{test}: {name}: {value}")


@pytest.fixture(scope="session")
def store():
    from e2e_store import Store

    from scripts.kind.cluster import store_endpoint

    return Store(store_endpoint())


@pytest.fixture
def namespace(request, store):
    with _fresh_namespace(request.node.name) as namespace:
        yield namespace


@pytest.fixture(scope="module")
def shared_namespace(request, store):
    """For tests that look at one release from several sides."""
    with _fresh_namespace(request.node.name) as namespace:
        yield namespace


@pytest.fixture(scope="module")
def tench(shared_namespace, store):
    """The command, in the shared namespace."""
    from e2e_tench import Tench

    return Tench(shared_namespace, store)


def _fresh_namespace(test):
    from e2e_kube import Namespace

    name = re.sub(r"[^a-z0-9]+", "-", Path(test).stem.removeprefix("test_").lower()).strip("-")[:40].strip("-")
    return Namespace(f"{name}-{os.urandom(2).hex()}")
