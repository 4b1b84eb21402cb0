"""The cluster's fixtures: fresh namespaces, and the bucket. `make kind-test` makes the cluster; alone, these skip."""

import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items):
    """Marks all here; without the cluster of `make kind-test` they have nothing to look at."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What failed tells what its namespaces know, before they go."""
    report = yield
    if report.failed and call.when == "call":
        from e2e_kube import Namespace

        from scripts.kind.diagnosis import diagnose
        from scripts.kind.settings import FAILURES

        for argument in item.funcargs.values():
            for value in argument.values() if isinstance(argument, dict) else [argument]:
                namespace = getattr(value, "namespace", value)
                if isinstance(namespace, Namespace):
                    diagnose(namespace.name, FAILURES / namespace.name)
    return report


@pytest.fixture(scope="session")
def store():
    from e2e_store import Store

    from scripts.kind.cluster import store_endpoint

    return Store(store_endpoint())


@pytest.fixture
def namespace(request, store):
    yield from _fresh_namespace(request.node.name)


@pytest.fixture(scope="module")
def shared_namespace(request, store):
    """For tests that look at one release from several sides."""
    yield from _fresh_namespace(request.node.name)


def _fresh_namespace(test):
    from e2e_kube import Namespace

    name = re.sub(r"[^a-z0-9]+", "-", Path(test).stem.removeprefix("test_").lower()).strip("-")[:40].strip("-")
    namespace = Namespace(f"{name}-{os.urandom(2).hex()}")
    namespace.create()
    yield namespace
    namespace.delete()
