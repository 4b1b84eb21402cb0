"""Real runs of three sizes beside what the forecast's simulation says of them: `python -m scripts.bench forecast`.

The simulation is fed with what is measured on the same machine, each time just before: the bare loop's rate, and the
start of the smallest run.
"""

import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

from job.plan.forecast.rates import StageRates
from job.plan.forecast.simulation import Pods, Shared, simulate
from job.stages.machine import cores
from scripts.bench.compare import run_once
from scripts.bench.images import ImageSet, complete, warm
from scripts.bench.program import Options
from scripts.bench.result import Run

SIZES = (500, 2_000, 8_000)
STUB_S = 0.0003  # the stub's batch, and the rows made of it


def print_forecast_check(console: Console, folder: Path, rounds: int, sizes: tuple[int, ...] = SIZES) -> None:
    """Medians over the rounds, of the run and of what was foretold of it. Raises ContenderError."""
    foretold: dict[int, list[float]] = {size: [] for size in sizes}
    taken: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        bare = _run("bare", max(sizes), folder)
        smallest = _run("local", min(sizes), folder)
        runs = {size: smallest if size == min(sizes) else _run("local", size, folder) for size in sizes}
        for size, run in runs.items():
            taken[size].append(size / run.whole)
            foretold[size].append(_foretold(size, bare, smallest))
    table = Table("images", "run, s", "foretold, s", "foretold ÷ run", title="local, stub", title_justify="left")
    for size in sizes:
        real, simulated = statistics.median(taken[size]), statistics.median(foretold[size])
        table.add_row(f"{size:,}", f"{real:.1f}", f"{simulated:.1f}", f"{simulated / real:.2f}")
    console.print(table)


def _run(contender: str, size: int, folder: Path) -> Run:
    images = ImageSet(size)
    source = complete(folder / "images", images)
    paths = images.paths(source)
    warm(paths)
    return run_once(contender, Options(source.resolve(), (folder / "out" / contender).resolve(), "stub", 256), paths)


def _foretold(size: int, bare: Run, smallest: Run) -> float:
    """Seconds. The first batch of the smallest run is there when it has started and decoded that batch."""
    decode_s = cores() / (bare.steady or bare.whole)
    rates = StageRates(0.0, decode_s, STUB_S).on_shared_cores(cores(), 1)
    start_s = max(0.0, smallest.start_up_s - 256 * decode_s / cores())
    return simulate(size, rates, Pods(1, cores()), Shared(chunk_s=0.0, start_s=start_s)).seconds
