"""What any test may ask for: a bucket on a real S3 server, and a proxy before it that fails on demand."""

import logging

import pytest
from flaky_proxy import FlakyProxy
from hypothesis import settings

settings.register_profile("tench", deadline=None, max_examples=50)
settings.load_profile("tench")


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


@pytest.fixture
def flaky(s3, monkeypatch):
    """A proxy before the bucket of `s3`, which the environment now leads through."""
    proxy = FlakyProxy(s3.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    yield proxy
    proxy.stop()
