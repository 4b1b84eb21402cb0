#!/usr/bin/env bash
# Ray Data, resuming from its checkpoint with mode="overwrite", deletes what it then skips, and reports success.
#
# Software   ray[data] 2.60.0 with pyarrow 26.0.1 and pandas 3.1.1.
# Expected   With a CheckpointConfig, rows whose output was written are not computed again when a failed job is run
#            again, and the result is whole. The reference of `write_parquet` says that "overwrite" first deletes what
#            is in the folder, that of CheckpointConfig names no mode that it does not go with. So either the deleted
#            rows are computed again, or the combination is refused.
# Happens    The second run deletes the first run's files, then leaves out their rows, for the checkpoint says that they
#            are done. It ends without an error and deletes the checkpoint; the log says no more than that the folder's
#            contents are replaced. 300 of 400 rows are nowhere.
# Matters    "overwrite" is what one writes so that a run that is repeated leaves no rows twice. The loss shows only to
#            whoever counts.
# Tench      commits by itself: the driver alone writes each shard, create-only, when all its rows are there, and a
#            resumed run reads the list of committed shards from the folder itself (job/results/sink.py).
#
# Seen       first run, which fails at row 300: error, 300 rows in 30 files
#            second run, to resume it: no error, 100 rows in 10 files, of 400
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'ray[data]==2.60.0' 'pyarrow==26.0.1' 'pandas==3.1.1'
# Ray writes a token into the home directory, and its C++ part to stderr.
HOME=$folder RAY_USAGE_STATS_ENABLED=0 RAY_BACKEND_LOG_LEVEL=fatal venv/bin/python -W ignore - <<'PYTHON'
import logging
import os
import pathlib
import sys

import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray

ray.init("local", num_cpus=2, include_dashboard=False, logging_level=logging.CRITICAL, log_to_driver=False,
         _temp_dir=os.path.abspath("ray"))
import ray.data  # noqa: E402 - sets its loggers anew
from ray.data.checkpoint import CheckpointConfig  # noqa: E402

for name in ("ray.data", "ray.data.exceptions", "ray.data._internal.execution.streaming_executor_state"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)
context = ray.data.DataContext.get_current()
context.enable_progress_bars = False
context.checkpoint_config = CheckpointConfig(id_column="id", checkpoint_path=os.path.abspath("checkpoint"))

source, output = pathlib.Path("source").absolute(), pathlib.Path("output").absolute()
source.mkdir()
for first in range(0, 400, 10):
    (source / f"{first:03}.csv").write_text("id\n" + "".join(f"{row}\n" for row in range(first, first + 10)))


def attempt(fails):
    """Labels all rows; one that `fails` stops at row 300, as a worker without its GPU would."""

    def label(rows):
        if fails and pc.max(rows["id"]).as_py() >= 300:
            raise RuntimeError("stopped")
        return rows.append_column("label", pc.multiply(rows["id"], 2))

    images = ray.data.read_csv(str(source), override_num_blocks=40)
    labelled = images.map_batches(label, batch_format="pyarrow", batch_size=None)
    try:
        labelled.write_parquet(str(output), mode="overwrite")
    except Exception:
        return "error"
    return "no error"


def ids():
    files = sorted(output.glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file)["id"].to_pylist()], len(files)


first = attempt(fails=True)
done, files = ids()
print(f"first run, which fails at row 300: {first}, {len(done)} rows in {files} files")
second = attempt(fails=False)
rows, files = ids()
print(f"second run, to resume it: {second}, {len(rows)} rows in {files} files, of 400")
if not done or second != "no error" or set(rows) & set(done) or len(rows) != 400 - len(done):
    sys.exit("changed: the resumed run no longer leaves out, and no longer deletes, what the first one wrote")
PYTHON
