#!/usr/bin/env bash
# In torch, a thread that has set its number of threads computes with another thread's.
#
# Software   torch 2.15.0 as PyPI has it for Linux, with numpy 2.4.6. It computes on the CPU, and brings 4 GB of CUDA.
# Expected   `torch.set_num_threads(n)`, says the reference, sets how many threads an operation on the CPU uses, and has
#            to be called before anything is computed so that the right number is used. A thread that calls it first of
#            all and then computes, while another is told another number, did what the page asks for.
# Happens    The number that counts is each thread's own. But a thread that has not computed yet takes over, at its
#            first operation, the last number that any thread has set, in place of its own. To call it first, as told,
#            is the wrong order: after an operation, or a mere `get_num_threads()`, the thread's own number holds.
# Matters    Threads that decode want one thread each, threads that predict want all cores. Whether these get them
#            is a race, and nothing is logged.
# Tench      asks for the number before it sets it, in each thread that computes (job/models/device.py, `use_threads`).
#
# Seen       sets 2 first, another thread then sets 1:               computes with 1
#            asks for the number, sets 2, another then sets 1:       computes with 2
#            never sets it, another thread set 1:                    computes with 1
#            the main thread, which had 2 and computed before:       computes with 2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-cache-dir 'torch==2.15.0' 'numpy==2.4.6'
OMP_NUM_THREADS=2 venv/bin/python - <<'PYTHON'
import sys
import threading

import torch


def compute():
    matrix = torch.ones(256, 256)
    (matrix @ matrix).sum()
    return torch.get_num_threads()


def in_a_thread(work):
    result = []
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.start()
    thread.join()
    return result[0]


def another_sets_1():
    in_a_thread(lambda: torch.set_num_threads(1))


def sets_first():
    torch.set_num_threads(2)
    another_sets_1()
    return compute()


def asks_before():
    torch.get_num_threads()
    torch.set_num_threads(2)
    another_sets_1()
    return compute()


compute()
seen = [in_a_thread(sets_first), in_a_thread(asks_before), in_a_thread(compute), compute()]
for name, threads in zip(
    (
        "sets 2 first, another thread then sets 1:",
        "asks for the number, sets 2, another then sets 1:",
        "never sets it, another thread set 1:",
        "the main thread, which had 2 and computed before:",
    ),
    seen,
):
    print(f"{name:<55} computes with {threads}")
if seen != [1, 2, 1, 2]:
    sys.exit("changed: threads take over each other's number differently")
PYTHON
