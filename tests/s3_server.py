"""A real S3 server for tests: moto, in this process, spoken to over HTTP."""

import uuid
from dataclasses import dataclass, field
from functools import cached_property

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server import werkzeug_app
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

_SESSION = boto3.Session(region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


class _AnyKey(werkzeug_app.RegexConverter):
    """moto's routes take no key with a newline, which S3 does."""

    def __init__(self, url_map, *items):
        super().__init__(url_map, *items)
        self.regex = f"(?s:{self.regex})"


def start_server():
    """A server on a free port, and its endpoint."""
    werkzeug_app.RegexConverter = _AnyKey
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return server, f"http://{host}:{port}"


def environment(endpoint):
    """What a user sets to work with a server of their own."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


@dataclass
class Bucket:
    """A new bucket. Objects put here are readable by everybody unless `public` is false."""

    endpoint: str
    name: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")

    def __post_init__(self):
        self.client.create_bucket(Bucket=self.name)

    @cached_property
    def client(self):
        return _SESSION.client("s3", endpoint_url=self.endpoint)

    @property
    def uri(self):
        return f"s3://{self.name}"

    @property
    def anonymous_uri(self):
        return f"s3://anonymous@{self.name}"

    def put(self, key, data, public=True):
        self.client.put_object(Bucket=self.name, Key=key, Body=data, ACL="public-read" if public else "private")
        return f"{self.uri}/{key}"

    def put_many(self, keys):
        """Empty objects, past HTTP: there are a thousand a page."""
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for key in keys:
            backend.put_object(self.name, key, b"")

    def get(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def delete(self, key):
        self.client.delete_object(Bucket=self.name, Key=key)
