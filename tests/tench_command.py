"""The `tench` command in a process of its own, with what a model named module:factory needs to be found."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-c", "from tench.launcher.cli import main; main()"]
TESTS = Path(__file__).parent


def environment(**more):
    """This process's, leading to the models of the tests; PYTHONPATH as it is comes first."""
    path = [*filter(None, [os.environ.get("PYTHONPATH")]), str(TESTS), str(TESTS.parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **more}


def on_a_terminal(*arguments, cwd, **more):
    """What the terminal shows of a call that succeeds, and what standard output got."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(TERM="xterm-256color", COLUMNS="120", **more),
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    answer, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    return shown.decode(), answer
