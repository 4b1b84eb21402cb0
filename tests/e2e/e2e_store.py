"""The bucket of the kind test: demo images and weights in, runs out."""

import json
import os
from io import BytesIO

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.kind.settings import ACCESS_KEY, BUCKET, SECRET_KEY

PREFIX = f"runs/{os.urandom(4).hex()}"  # a kept cluster still has an earlier call's runs, and they would be complete
RUNS = f"s3://{BUCKET}/{PREFIX}"


class Store:
    """Objects by key, from this side of the cluster."""

    def __init__(self, endpoint):
        keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        self.client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        self.environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def read(self, key):
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix):
        return set(self.objects(prefix))

    def objects(self, prefix):
        """Key to etag and time of writing."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {
            item["Key"]: (item["ETag"], item["LastModified"]) for page in pages for item in page.get("Contents", [])
        }

    def written(self, run_id, name):
        """When one of a run's objects was."""
        key = f"{PREFIX}/{run_id}/{name}"
        return self.objects(key)[key][1]

    def driver_logs(self, run_id):
        """What each attempt of the driver has left, the oldest first."""
        return [self.read(key).decode() for key in sorted(self.keys(f"{PREFIX}/{run_id}/logs/"))]

    def save_logs(self, run_id, folder):
        for number, text in enumerate(self.driver_logs(run_id)):
            (folder / f"driver-{run_id}-{number}.txt").write_text(text)

    def shards(self, run_id):
        """Committed shards of a run, as `objects` tells them."""
        return self.objects(f"{PREFIX}/{run_id}/predictions/")

    def predictions(self, run_id):
        return pa.concat_tables(pq.read_table(BytesIO(self.read(key))) for key in sorted(self.shards(run_id)))

    def success(self, run_id):
        return json.loads(self.read(f"{PREFIX}/{run_id}/_SUCCESS"))
