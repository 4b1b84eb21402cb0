#!/usr/bin/env bash
# Ray Data runs a function's parallel tasks inside the one actor of the next stage, one after the other.
#
# Software   ray[data] 2.60.0 with pyarrow 26.0.1 and pandas 3.1.1.
# Expected   `map_batches` says of a function without `compute` that it becomes concurrent tasks, as many as resources
#            and blocks allow, and of ActorPoolStrategy(size=1) that its class gets one worker. With four CPUs, decoding
#            in a function ought to keep the three busy that the model's actor leaves. Ray Data's page on its internals
#            tells of fusing operators to spare hand-overs, not that tasks then become an actor's work.
# Happens    Where both stages ask for the same resources, such as one CPU, they are fused into the actor pool: the one
#            actor decodes every block, in turn with its predictions. Three CPUs stay idle and nothing is said. A byte
#            of `memory` that only one of the stages asks for keeps them apart.
# Matters    On CPUs, which is where pipelines are tried out, the stage that should scale with the cluster runs at the
#            rate of the replicas. A GPU in the second stage ends that, so what was measured without one does not hold.
# Tench      asks for one byte of memory in the predicting stage (job/engines/ray_data.py, `rows_dataset`).
#
# Seen       by default:         16 blocks of 0.5 s decoded by 1 process, the model's own, in 14.3 s
#            memory=1 in one:    16 blocks of 0.5 s decoded by 3 processes, not the model's, in 4.8 s
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
import sys
import time

import ray

# Four CPUs on whatever machine this is: decoding only sleeps here.
ray.init("local", num_cpus=4, include_dashboard=False, logging_level=logging.CRITICAL, log_to_driver=False,
         _temp_dir=os.path.abspath("ray"))
import ray.data  # noqa: E402 - sets its loggers anew

logging.getLogger("ray.data").setLevel(logging.CRITICAL + 1)
ray.data.DataContext.get_current().enable_progress_bars = False


def decode(batch):
    time.sleep(0.5)
    return {**batch, "decoder": [os.getpid()] * len(batch["id"])}


class Model:
    def __call__(self, batch):
        return {**batch, "model": [os.getpid()] * len(batch["id"])}


def run(**resources):
    start = time.monotonic()
    blocks = ray.data.range(16, override_num_blocks=16)
    decoded = blocks.map_batches(decode, batch_size=None)
    pool = ray.data.ActorPoolStrategy(size=1)
    rows = decoded.map_batches(Model, batch_size=None, compute=pool, num_cpus=1, **resources).take_all()
    return {row["decoder"] for row in rows}, {row["model"] for row in rows}, time.monotonic() - start


run()  # Ray's processes start, and those that decode
run(memory=1)
fused, fused_model, fused_s = run()
apart, apart_model, apart_s = run(memory=1)
print(f"by default:         16 blocks of 0.5 s decoded by {len(fused)} process, the model's own, in {fused_s:.1f} s")
print(f"memory=1 in one:    16 blocks of 0.5 s decoded by {len(apart)} processes, not the model's, in {apart_s:.1f} s")
if fused != fused_model or len(fused) != 1:
    sys.exit("changed: the two stages are no longer one actor's work")
if len(apart) < 2 or apart & apart_model:
    sys.exit("changed: a byte of memory no longer keeps the stages apart")
PYTHON
