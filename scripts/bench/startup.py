"""Where the seconds before the first image go: the steps of starting, each group in a fresh process.

`python -m scripts.bench.startup GROUP` prints the seconds of that group's steps as JSON. Imports are inside the steps
because they are what is measured.
"""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.bench.process import LOG_TAIL, ContenderError

Step = tuple[str, Callable[[], Any]]


def print_startup(console: Console) -> None:
    table = Table(title="seconds to start, one fresh process a group", title_justify="left")
    table.add_column("")
    table.add_column("step")
    table.add_column("s", justify="right")
    table.add_row("tench", "tench --help, as a whole", f"{_help_s():.2f}", end_section=True)
    for group in GROUPS:
        steps = measure(group)
        for number, (name, seconds) in enumerate(steps.items()):
            table.add_row(group if not number else "", name, f"{seconds:.2f}", end_section=number == len(steps) - 1)
    console.print(table)


def measure(group: str) -> dict[str, float]:
    """Seconds of each step, in order. `process` is all of it: the interpreter's start and exit too."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "scripts.bench.startup", group]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise ContenderError(f"{' '.join(command)} ended with code {process.returncode}:\n{process.stderr[-LOG_TAIL:]}")
    steps: dict[str, float] = json.loads(process.stdout.splitlines()[-1])
    return {**steps, "process": time.perf_counter() - started}


def _help_s() -> float:
    started = time.perf_counter()
    subprocess.run([Path(sys.executable).with_name("tench"), "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _import(name: str) -> Step:
    return f"import {name}", lambda: importlib.import_module(name)


def _build_model() -> None:
    from scripts.bench.networks import build_network

    build_network("mobilenet_v3_small")


def _init_ray() -> None:
    import ray

    from job.stages.machine import cores

    ray.init(num_cpus=cores() + 1, include_dashboard=False, log_to_driver=False)


class _Actor:
    """Imports what it is told to and gives back what it got."""

    def __init__(self, imports: list[str]) -> None:
        for name in imports:
            importlib.import_module(name)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch


def _run_dataset(imports: list[str]) -> None:
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    pool = ray.data.ActorPoolStrategy(size=1)
    ray.data.range(8).map_batches(_Actor, fn_constructor_args=[imports], compute=pool).materialize()


GROUPS: Mapping[str, list[Step]] = {
    "local": [
        _import("job.run"),
        _import("torch"),
        _import("torchvision"),
        ("build MobileNetV3-small", _build_model),
    ],
    "ray": [
        _import("ray.data"),
        ("ray.init", _init_ray),
        ("first dataset with an actor", lambda: _run_dataset([])),
        ("second dataset with an actor", lambda: _run_dataset([])),
        ("… whose actor imports torch", lambda: _run_dataset(["torch"])),
        ("… and torchvision", lambda: _run_dataset(["torch", "torchvision"])),
    ],
}


def _time_steps(group: str) -> dict[str, float]:
    seconds = {}
    for name, step in GROUPS[group]:
        started = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - started
    return seconds


if __name__ == "__main__":
    # The last line is the answer; libraries print what they like before it.
    print(json.dumps(_time_steps(sys.argv[1])))
