#!/usr/bin/env bash
# pyarrow reads all of a column before iter_batches gives its first 16 rows, also with pre_buffer=False.
#
# Software   pyarrow 26.0.1 (numpy 2.4.6 makes the images).
# Expected   The reference says that `iter_batches` streams, that `pre_buffer=False` is for least memory, and that a
#            positive `buffer_size` buffers reads while without it they are unbuffered. So any of the three should read
#            about as much of a row group as the batch needs; here a data page is 1 MB.
# Happens    Each of them alone reads the column of the row group, 40 MB, in a single read. "Unbuffered" means the whole
#            column chunk at once, and `buffer_size` is passed over while `pre_buffer` is on, as it is by default. Only
#            both settings together read on as batches are taken.
# Matters    Files of images often have one row group of gigabytes. Over a bucket the first image waits for all of them,
#            and each reader holds them.
# Tench      reads the pages that it wants itself; where these cannot be told apart, it opens the file with both settings
#            (job/sources/parquet/open_parquet.py).
#
# Seen       of 40.0 MB, read for the first 16 rows (0.3 MB of images):
#            iter_batches(16)                                    40.1 MB, largest read 40.0 MB
#            buffer_size=1 MB                                    40.1 MB, largest read 40.0 MB
#            pre_buffer=False                                    40.1 MB, largest read 40.0 MB
#            pre_buffer=False, buffer_size=1 MB                   2.1 MB, largest read  1.0 MB
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'pyarrow==26.0.1' 'numpy==2.4.6'
venv/bin/python - <<'PYTHON'
import io
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MB = 1_000_000
rng = np.random.default_rng(0)
images = pa.table({"image": pa.array([rng.bytes(20_000) for _ in range(2_000)], pa.binary())})
# pyarrow looks at a page's size each `write_batch_size` values only; other writers make pages of 1 MB by themselves.
pq.write_table(images, "images.parquet", row_group_size=2_000, write_batch_size=16)


class Counted(io.RawIOBase):
    """A file that counts what is read of it, as a bucket would bill it."""

    def __init__(self, path):
        self._file, self.bytes, self.largest = open(path, "rb"), 0, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        return self._file.seek(offset, whence)

    def tell(self):
        return self._file.tell()

    def read(self, size=-1):
        data = self._file.read(size)
        self.bytes, self.largest = self.bytes + len(data), max(self.largest, len(data))
        return data


size = pq.ParquetFile("images.parquet").metadata.row_group(0).total_byte_size
print(f"of {size / MB:.1f} MB, read for the first 16 rows (0.3 MB of images):")
seen = []
for name, options in {
    "iter_batches(16)": {},
    "buffer_size=1 MB": {"buffer_size": MB},
    "pre_buffer=False": {"pre_buffer": False},
    "pre_buffer=False, buffer_size=1 MB": {"pre_buffer": False, "buffer_size": MB},
}.items():
    file = Counted("images.parquet")
    batches = pq.ParquetFile(file, **options).iter_batches(16, columns=["image"])
    assert next(batches).num_rows == 16
    print(f"{name:<50} {file.bytes / MB:5.1f} MB, largest read {file.largest / MB:4.1f} MB")
    seen.append(file.largest > 0.9 * size)
if seen != [True, True, True, False]:
    sys.exit("changed: other settings than both together read on as batches are taken")
PYTHON
