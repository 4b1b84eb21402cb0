"""What the kind test does without a cluster: calls side by side, of which one fails."""

import subprocess
import sys

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
