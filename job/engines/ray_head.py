"""A Ray of this machine, as a program: `python -P ray_head.py CPUS WORKERS MODULE…`, which ends with its input.

So many workers start as soon as somebody connects, and import the modules before they are asked for anything.

It runs before the driver has imported anything heavy, in a process that does nothing else: `ray.init` in a thread of a
driver that imports torch at that moment has been seen to stop for ever. One line of JSON says where it is.

`ray.init` starts five more Python processes, 6 seconds of CPU and 500 MB in all, of which a run uses one: the cluster's
autoscaler, the dashboard, an agent of it and one for runtime environments have nothing to do here. What brings the
workers' output to the driver is a thread of this process. Ray's own way stands where a version of Ray differs.

Imports nothing of Tench: it is started by its path.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

# After the driver's end; Ray may be starting then. The kernel ends its processes with this one.
_OUTLIVES_S = 15.0

# Raylet insists on both agents, and ends with them. It reads their ports from files: -1 is a service that is not there.
_IDLE = "import os, time\nwhile os.getppid() == int(os.environ['RAY_RAYLET_PID']): time.sleep(1)"
_AGENTS = ("--dashboard_agent_command=", "--runtime_env_agent_command=")
_WORKERS = "--num_prestart_python_workers="
_PORTS = ("METRICS_AGENT", "METRICS_EXPORT", "DASHBOARD_AGENT_LISTEN", "RUNTIME_ENV_AGENT")


def start(cpus: int, workers: int, modules: list[str]) -> tuple[str, Callable[[], Any]]:
    """Starts Ray: its address, and what stops it. The processes end with the thread that calls this, too."""
    try:
        return _start_bare(cpus, workers, modules)
    except (ImportError, AttributeError, TypeError) as error:
        print(f"ray {_ray_version()} is started in its own way: {error}", file=sys.stderr)
    import ray

    ray.init("local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    return str(ray.get_runtime_context().gcs_address), ray.shutdown


def _start_bare(cpus: int, workers: int, modules: list[str]) -> tuple[str, Callable[[], Any]]:
    import ray
    from ray._private import services
    from ray._private.authentication import authentication_token_setup as tokens
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    raylet: Any = ray._raylet  # compiled, without stubs for all of it
    persist_port = raylet.persist_port

    class Head(Node):  # type: ignore[misc]
        def start_api_server(self, **_: Any) -> None:
            self._webui_url = None

        def start_log_monitor(self) -> None:
            """A thread, once there is something to follow."""

        def start_raylet(self, *arguments: Any, **options: Any) -> None:
            for port in _PORTS:
                persist_port(self._session_dir, self._node_id, getattr(raylet, f"{port}_PORT_NAME"), -1)
            super().start_raylet(*arguments, **options)

    start_process = services.start_ray_process

    def start_bare_process(command: list[str], *arguments: Any, **options: Any) -> Any:
        return start_process([_bare(word, workers) for word in command], *arguments, **options)

    services.start_ray_process = start_bare_process
    try:
        if tokens.enable_token_auth_by_default():
            tokens.ensure_token_if_auth_enabled(None, create_token_if_missing=True)
        parameters = RayParams(
            num_cpus=cpus,
            include_dashboard=False,
            no_monitor=True,
            redirect_output=None,
            _system_config={"preload_python_modules": modules},
        )
        node = Head(parameters, head=True, shutdown_at_exit=False, spawn_reaper=True, ray_init_cluster=True)
    finally:
        services.start_ray_process = start_process
    threading.Thread(target=_follow_logs, args=[node], daemon=True).start()
    return str(node.gcs_address), partial(node.kill_all_processes, check_alive=False, allow_graceful=True)


def _bare(word: str, workers: int) -> str:
    """The word of raylet's command line: no agent but a process that idles, and no worker for every CPU."""
    for option in _AGENTS:
        if word.startswith(option):
            return option + subprocess.list2cmdline([sys.executable, "-ISc", _IDLE])
    return f"{_WORKERS}{workers}" if word.startswith(_WORKERS) else word


def _follow_logs(node: Any) -> None:
    """What workers write goes to whoever is connected, as Ray's own process for it does."""
    from ray._private.log_monitor import LogMonitor, is_proc_alive

    LogMonitor(node.node_ip_address, node.get_logs_dir_path(), node.get_gcs_client(), is_proc_alive).run()


def _ray_version() -> str:
    import ray

    return str(ray.__version__)


def main(cpus: int, workers: int, modules: list[str]) -> None:
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever Ray prints is no answer
    is_alone = threading.Event()
    threading.Thread(target=_watch_driver, args=[is_alone], daemon=True).start()
    address, stop = start(cpus, workers, modules)
    os.write(answers, json.dumps({"address": address}).encode() + b"\n")
    is_alone.wait()
    stop()


def _watch_driver(is_alone: threading.Event) -> None:
    """Waits until the driver is gone, however it ended; ends this process where it then hangs."""
    while os.read(0, 4096):
        pass
    is_alone.set()
    time.sleep(_OUTLIVES_S)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
