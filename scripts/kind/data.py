"""The demo's images and weights, in the bucket of the cluster's store."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3

from scripts.demo.detection import draw_detection_set
from scripts.demo.images import draw_image_set
from scripts.kind.settings import ACCESS_KEY, BUCKET, SECRET_KEY

IMAGES, BOXES = 2000, 400
FOLDERS = {"images": Path("demo/images"), "boxes": Path("demo/boxes"), "weights": Path("scripts/demo/weights")}
DONE = "weights/done"


def upload(endpoint: str) -> None:
    """Draws what is not drawn, uploads what an earlier call has not."""
    session = boto3.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
    client = session.client("s3", endpoint_url=endpoint)
    if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET)
    if client.list_objects_v2(Bucket=BUCKET, Prefix=DONE)["KeyCount"]:
        return
    draw_image_set(FOLDERS["images"], "val", IMAGES)
    draw_detection_set(FOLDERS["boxes"], "val", BOXES)
    files = [
        (f"{name}/{path.relative_to(folder)}", path)
        for name, folder in FOLDERS.items()
        for path in folder.rglob("*")
        if path.is_file()
    ]

    def put(item: tuple[str, Path]) -> None:
        client.put_object(Bucket=BUCKET, Key=item[0], Body=item[1].read_bytes())

    with ThreadPoolExecutor(16) as uploads:
        list(uploads.map(put, files))
    client.put_object(Bucket=BUCKET, Key=DONE, Body=b"")
