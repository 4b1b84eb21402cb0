"""The same small pictures as files, rows of Parquet and members of a tar, each with the source that reads them."""

import io
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
from colours import make_image

COLOURS = ["red", "green", "blue"]
IMAGES = {f"{n:02d}.png": make_image(COLOURS[n % 3], n) for n in range(24)}


def write_files(folder):
    for name, data in IMAGES.items():
        (folder / name).write_bytes(data)
    return {"uri": str(folder)}


def write_parquet(folder):
    table = pa.table({"picture": list(IMAGES.values()), "sku": [f"s{n}" for n in range(24)]})
    pq.write_table(table, folder / "x.parquet", row_group_size=5)
    return {"kind": "parquet", "uri": str(folder), "image_column": "picture", "keep": ["sku"]}


def write_tar(folder):
    with tarfile.open(folder / "x.tar", "w") as archive:
        for name, data in IMAGES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return {"kind": "webdataset", "uri": str(folder)}
