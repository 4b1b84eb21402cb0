"""What the kind test does without a cluster: calls side by side, of which one fails, and the demo in a bucket."""

import subprocess
import sys
import uuid

import boto3
import pytest

from scripts.kind import data

SIDE_BY_SIDE = """
from scripts.kind.commands import run, side_by_side
def goes_on():
    run("sleep", "60")
    print("slept")
def goes_on_later():
    try:
        run("sleep", "60")
    except Exception:
        run("echo", "started another")
def fails():
    run("sleep", "0.5")
    run("false")
try:
    side_by_side(goes_on, goes_on_later, fails)
except Exception as error:
    print(type(error).__name__, error.cmd)
run("echo", "and later calls run")
"""


def test_a_failure_ends_what_runs_beside_it_and_lets_nothing_start():
    done = subprocess.run([sys.executable, "-c", SIDE_BY_SIDE], capture_output=True, text=True, timeout=50)
    assert done.stdout == "CalledProcessError ('false',)\n", done.stderr
    assert done.stderr == "and later calls run\n"


@pytest.fixture
def upload(s3_endpoint, tmp_path, monkeypatch):
    """Uploads these files and no others; the bucket."""
    monkeypatch.setattr(data, "FOLDERS", {"images": tmp_path})
    monkeypatch.setattr(data, "BUCKET", uuid.uuid4().hex)

    def upload(files):
        for path in tmp_path.iterdir():
            path.unlink()
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        data.upload(s3_endpoint)
        session = boto3.Session(data.ACCESS_KEY, data.SECRET_KEY, region_name="us-east-1")
        return session.resource("s3", endpoint_url=s3_endpoint).Bucket(data.BUCKET)

    return upload


def test_a_kept_bucket_has_the_files_of_the_last_upload_alone(upload):
    two, one = {"a.jpg": b"a", "b.jpg": b"b"}, {"a.jpg": b"another"}
    for files in (two, one, two):
        found = {each.key: each.get()["Body"].read() for each in upload(files).objects.filter(Prefix="images/")}
        assert found == {f"images/{name}": content for name, content in files.items()}


def test_what_a_kept_bucket_has_is_not_uploaded_again(upload):
    upload({"a.jpg": b"a"}).put_object(Key="images/a.jpg", Body=b"as it was")
    assert upload({"a.jpg": b"a"}).Object("images/a.jpg").get()["Body"].read() == b"as it was"
