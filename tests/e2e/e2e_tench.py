"""The `tench` command as a user calls it, against the kind cluster and its bucket."""

import json
import os
import subprocess

from tench_command import COMMAND

from scripts.kind.commands import environment

# Wide, so that a sentence is not cut in two.
WIDE = {"COLUMNS": "1000", "NO_COLOR": "1"}


class Tench:
    """In one namespace."""

    def __init__(self, namespace, store):
        self._where = ["--namespace", namespace.name]
        self._environment = {**environment(), **store.environment, **WIDE}

    def __call__(self, verb, *arguments, timeout_s=600):
        return subprocess.run(
            [*COMMAND, verb, *arguments, *self._where],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, verb, *arguments):
        """One that goes on meanwhile."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*COMMAND, verb, *arguments, *self._where], env=self._environment, **pipes)


def run_here(spec, store, folder):
    """The same spec by `tench run` on this machine, from and to the same bucket; its run id."""
    run_id = f"local-{os.urandom(4).hex()}"
    (folder / "job.json").write_text(json.dumps(spec))
    command = [*COMMAND, "run", str(folder / "job.json"), "--engine", "local", "--run-id", run_id]
    subprocess.run(command, env={**os.environ, **store.environment}, check=True, timeout=300)
    return run_id
