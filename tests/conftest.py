"""What any test may ask for: buckets on a real S3 and a real Azure server, and a proxy that fails on demand."""

import logging
import os
import signal

import pytest
from flaky_proxy import FlakyProxy
from hypothesis import settings

pytest_plugins = ["helm_needed"]

# Two workers whose torch takes all cores each spend most of them waiting for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore it, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Those that take longest begin first, so that all workers end together.
LONGEST = ["test_run.py", "test_parity_detect.py", "test_kill.py", "test_parity_classify.py", "test_bench.py"]

settings.register_profile("tench", deadline=None, max_examples=50)
settings.load_profile("tench")


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter):
    yield
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []) if report.longrepr]
    without_azure = [reason for reason in reasons if "no Azure server" in reason]
    if without_azure:
        line = f"{without_azure[0].removeprefix('Skipped: ')}; {len(without_azure)} tests were skipped"
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture(scope="session")
def s3_endpoint():
    # Loading moto takes longer than most tests.
    from s3_server import start_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server, endpoint = start_server()
    yield endpoint
    server.stop()


@pytest.fixture
def s3(s3_endpoint, monkeypatch):
    """A new bucket, and the environment that leads to it."""
    from s3_server import Bucket, environment

    from job.stores import bucket

    for name, value in environment(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    yield Bucket(s3_endpoint)
    # Open clients hold connections, and the server a thread for each.
    bucket._open_bucket.cache_clear()


@pytest.fixture(scope="session")
def azurite_endpoint():
    from azurite_server import start_server

    server, endpoint = start_server()
    yield endpoint
    server.terminate()
    server.wait()


@pytest.fixture
def azurite(azurite_endpoint, monkeypatch):
    """A new container on a real Azure server, and the environment that leads to it."""
    from azurite_server import Container, environment

    from job.stores import bucket

    for name, value in environment(azurite_endpoint).items():
        monkeypatch.setenv(name, value)
    yield Container(azurite_endpoint)
    bucket._open_bucket.cache_clear()


@pytest.fixture
def flaky(s3, monkeypatch):
    """A proxy before the bucket of `s3`, which the environment now leads through."""
    proxy = FlakyProxy(s3.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    yield proxy
    proxy.stop()
