"""The demo's images and weights, in the bucket of the cluster's store."""

import hashlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError

from job.errors import RunFailed
from scripts.demo.detection import draw_detection_set
from scripts.demo.images import draw_image_set
from scripts.kind.settings import ACCESS_KEY, BUCKET, SECRET_KEY

IMAGES, BOXES = 2000, 400
PATIENCE_S = 60.0
FOLDERS = {"images": Path("demo/images"), "boxes": Path("demo/boxes"), "weights": Path("scripts/demo/weights")}


def draw() -> None:
    draw_image_set(FOLDERS["images"], "val", IMAGES)
    draw_detection_set(FOLDERS["boxes"], "val", BOXES)


def upload(endpoint: str) -> None:
    """Uploads all files unless the store has them; those of an earlier call go first. Raises RunFailed where the store
    does not answer."""
    session = boto3.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
    client = session.client("s3", endpoint_url=endpoint)
    if BUCKET not in _buckets(client):
        client.create_bucket(Bucket=BUCKET)
    files = {
        f"{name}/{path.relative_to(folder)}": path.read_bytes()
        for name, folder in FOLDERS.items()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    done = f"uploaded/{_digest(files)}"
    if client.list_objects_v2(Bucket=BUCKET, Prefix=done)["KeyCount"]:
        return

    def put(item: tuple[str, bytes]) -> None:
        client.put_object(Bucket=BUCKET, Key=item[0], Body=item[1])

    def delete(key: str) -> None:
        client.delete_object(Bucket=BUCKET, Key=key)

    with ThreadPoolExecutor(10) as calls:  # as many connections as boto3 keeps
        for folder in ("uploaded", *FOLDERS):  # first what says that the others are whole
            list(calls.map(delete, _keys(client, f"{folder}/")))
        list(calls.map(put, files.items()))
    client.put_object(Bucket=BUCKET, Key=done, Body=b"")


def _keys(client: Any, prefix: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [found["Key"] for page in pages for found in page.get("Contents", ())]


def _buckets(client: Any) -> list[str]:
    """A node's port leads nowhere for seconds after the pod behind it is ready."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
        except BotoCoreError as error:
            if time.monotonic() > deadline:
                raise RunFailed(f"the object store does not answer: {error}") from error
            time.sleep(1)


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for key, data in files.items():
        digest.update(f"{key}\n{len(data)}\n".encode() + data)
    return digest.hexdigest()
