"""Starting Ray: the cluster that RAY_ADDRESS names, else one of this machine, which lives as long as its driver.

The latter's head is a process of its own (`ray_head`), told that the driver is gone by the end of its input: a driver
that is killed leaves nothing behind.
"""

import json
import logging
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from job.errors import PreflightError
from job.settings import RAY_START_TIMEOUT_S
from job.spec.spec import ComputeSpec
from job.spec.spec_file import folders_of_specs
from job.stages.machine import cores

HEAD = Path(__file__).with_name("ray_head.py")
IMPORTS = ("ray.data", "job.engines.ray_replica", "job.stages.timed_predict")  # of every replica: 4 s of CPU
STOP_TIMEOUT_S = 20.0
LATE_STOP_TIMEOUT_S = 3.0  # one that hangs while it starts has nothing to put in order
_LOG_TAIL = 500  # characters


class RayHead:
    """The head's process, and what it says. A context that ends with it.

    As many `workers` as will be replicas are there with their imports before they are asked for.
    """

    def __init__(self, cpus: int, workers: int = 0) -> None:
        self._started = time.monotonic()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        # -P: else the folder of this package comes first, and its modules stand for others of their names.
        command = [sys.executable, "-P", str(HEAD), str(cpus), str(workers), *IMPORTS]
        # A session of its own: Ctrl-C is the driver's, which takes Ray down in order.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": python_path()},
            start_new_session=True,
        )

    def address(self, timeout_s: float) -> str:
        """Where Ray is, once it is there. Raises PreflightError where it does not start, or not within that time.

        The time counts from the start of the head's process.
        """
        output = self._process.stdout
        left_s = max(0.0, self._started + timeout_s - time.monotonic())
        ready = output and select.select([output], [], [], left_s)[0]
        if not output or not ready:
            raise PreflightError(late(timeout_s))
        line = output.readline()
        if not line:
            self._process.wait(STOP_TIMEOUT_S)
            self._errors.seek(0)
            tail = self._errors.read().decode(errors="replace").strip()[-_LOG_TAIL:]
            raise PreflightError(f"Ray did not start: its head ended with code {self._process.returncode}: {tail}")
        answer: dict[str, Any] = json.loads(line)
        return str(answer["address"])

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Waits until its processes are down; one that takes longer than that is killed."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the kernel ends its processes with it
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def late(timeout_s: float) -> str:
    return (
        f"Ray did not start within {timeout_s:g} s; /tmp/ray/session_latest/logs says how far it came. Run it again, "
        f"or here with --engine local; {RAY_START_TIMEOUT_S.name} gives it longer"
    )


def init_ray(compute: ComputeSpec) -> RayHead | None:
    """Connects to the cluster; or to an embedded Ray that it starts, and gives its head, to be stopped.

    That has a core for each replica beside those that decode: they take turns. Raises PreflightError.
    """
    if "ray" in sys.modules:
        import ray

        if ray.is_initialized():
            return None
    if "RAY_ADDRESS" in os.environ:
        import ray

        ray.init(logging_level=logging.ERROR)
        return None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # as `ray.init` sets it for a Ray of its own
    head = RayHead(cores() + compute.concurrency * compute.cpus_per_replica, compute.concurrency)
    try:
        _connect(head)
    except BaseException:
        head.stop(LATE_STOP_TIMEOUT_S)
        raise
    return head


def _connect(head: RayHead) -> None:
    import ray
    from ray.job_config import JobConfig

    compiled: Any = ray._raylet
    compiled.Config.initialize("")  # Ray may have been imported before RAY_AUTH_MODE was set, and read it then
    address = head.address(RAY_START_TIMEOUT_S.value())
    # Else Ray puts the working folder first on its workers' path, before Python's own modules.
    ray.init(address, logging_level=logging.ERROR, job_config=JobConfig(_client_job=True))


def python_path() -> str:
    """With which Ray's workers import what this process can.

    What is named here comes before Python's own modules there: the folders of users' modules are not, but where Tench
    itself lies in one. A worker that loads such a model looks into them last.
    """
    before = os.environ.get("PYTHONPATH")
    ours = str(Path(__file__).parents[2])
    users = {"", os.getcwd(), *folders_of_specs()} - {ours, *(before or "").split(os.pathsep)}
    installed = (sys.prefix, sys.base_prefix)
    own = [path for path in sys.path if path not in users and not path.startswith(installed)]
    return os.pathsep.join(filter(None, [*own, before]))
