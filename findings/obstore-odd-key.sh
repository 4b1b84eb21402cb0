#!/usr/bin/env bash
# obstore lists nothing of a bucket in which one key is odd.
#
# Software   obstore 0.12.1, which is Rust's object_store. Beside it boto3 1.44.8, and moto 5.2.5 as the S3 server, on
#            flask 3.1.3 and flask-cors 6.0.5.
# Expected   A listing names every object. obstore's reference of `list` promises all objects with the prefix and knows
#            no exception; S3's page on object keys allows any UTF-8 up to 1,024 bytes, control characters included
#            ("may need special handling").
# Happens    A tab in one key, or two slashes in a row, and the listing raises InvalidPathError before it has given one
#            object. boto3 lists the same bucket of the same server. A local folder with the tab fails alike, so it is
#            not the server; there, two slashes cannot be.
# Matters    `prefix + "/" + name` makes such a key where the prefix ends in a slash. With one of them among millions,
#            which need not even be an image, none of the others can be labelled.
# Tench      lists S3 with boto3, and reads and writes odd keys with it; obstore does the rest (job/stores/s3.py).
#
# Seen       plain           boto3: 3 keys   obstore: 3 keys
#            tab             boto3: 3 keys   obstore: 0 keys, InvalidPathError
#            double slash    boto3: 3 keys   obstore: 0 keys, InvalidPathError
#            tab, a folder   scandir: 3 files   obstore: 0 keys, InvalidPathError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  'obstore==0.12.1' 'boto3==1.44.8' 'moto[s3]==5.2.5' 'flask==3.1.3' 'flask-cors==6.0.5'
venv/bin/python - <<'PYTHON'
import logging
import os
import pathlib
import sys

import boto3
import obstore
from moto.server import ThreadedMotoServer
from obstore.store import LocalStore, S3Store

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = "http://{}:{}".format(*server.get_host_and_port())
account = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
client = boto3.client("s3", endpoint_url=endpoint, **account)
config = {"endpoint": endpoint, "access_key_id": "k", "secret_access_key": "s", "region": "us-east-1"}


def listed(store):
    found = 0
    try:
        for page in obstore.list(store):
            found += len(page)
    except Exception as error:
        return found, f", {type(error).__name__}"
    return found, ""


seen = {}
for case, odd in {"plain": "scans/2.jpg", "tab": "scans/2\t.jpg", "double slash": "scans//2.jpg"}.items():
    bucket = case.replace(" ", "-")
    client.create_bucket(Bucket=bucket)
    for key in ("scans/1.jpg", odd, "scans/3.jpg"):
        client.put_object(Bucket=bucket, Key=key, Body=b"image")
    by_boto3 = client.list_objects_v2(Bucket=bucket)["KeyCount"]
    seen[case] = listed(S3Store(bucket, config=config, client_options={"allow_http": True}))
    print(f"{case:<15} boto3: {by_boto3} keys   obstore: {seen[case][0]} keys{seen[case][1]}")
    if by_boto3 != 3:
        sys.exit("changed: boto3 or the server no longer lists all three keys")
server.stop()

local = pathlib.Path("local/scans")
local.mkdir(parents=True)
for name in ("1.jpg", "2\t.jpg", "3.jpg"):
    (local / name).write_bytes(b"image")
seen["a folder"] = listed(LocalStore(local.parent.resolve()))
files = sum(entry.is_file() for entry in os.scandir(local))
print(f"{'tab, a folder':<15} scandir: {files} files   obstore: {seen['a folder'][0]} keys{seen['a folder'][1]}")

fails = (0, ", InvalidPathError")
if seen != {"plain": (3, ""), "tab": fails, "double slash": fails, "a folder": fails}:
    sys.exit("changed: obstore lists a bucket with an odd key differently")
PYTHON
