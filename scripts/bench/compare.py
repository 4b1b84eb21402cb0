"""The comparison: every contender in a process of its own, one after the other, on the same images.

Called by `scripts.bench.__main__`. Rounds are interleaved, so that what disturbs the machine for a while disturbs all.
"""

import datetime
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from job.plan.plan import versions
from job.stages.machine import cores
from scripts.bench import contenders, result
from scripts.bench.images import ImageSet, complete, warm
from scripts.bench.process import run_to_end
from scripts.bench.program import Options
from scripts.bench.record import RECORD, read_marks
from scripts.bench.result import Run

MODELS = tuple(contenders.PREDICTORS)


@dataclass(frozen=True)
class Comparison:
    """What is compared, and where its files go."""

    images: ImageSet
    models: Sequence[str] = MODELS
    contenders: Sequence[str] = contenders.CONTENDERS
    rounds: int = 1
    batch_size: int = 256
    folder: Path = Path("build/bench")


def compare(comparison: Comparison, console: Console) -> list[Run]:
    """Every run. Writes `result.json` into the folder after each. Raises ContenderError."""
    source = complete(comparison.folder / "images", comparison.images)
    paths = comparison.images.paths(source)
    setting = _setting(comparison, warm(paths))
    runs: list[Run] = []
    for number in range(comparison.rounds):
        for contender, model in _pairs(comparison):
            options = Options(
                source.resolve(),
                (comparison.folder / "out" / f"{contender}-{model}").resolve(),
                model,
                comparison.batch_size,
            )
            run = run_once(contender, options, paths)
            runs.append(run)
            console.print(f"round {number + 1}, {_sentence(run)}", highlight=False, soft_wrap=True)
            text = json.dumps(result.document(runs, setting), indent=1)
            (comparison.folder / "result.json").write_text(text + "\n")
    return runs


def run_once(contender: str, options: Options, paths: Sequence[Path]) -> Run:
    """One contender, from the start of its process to its checked output. Raises ContenderError."""
    record = options.output.with_suffix(".record")
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("")
    command = contenders.prepare(contender, options)
    finished = run_to_end(command, {RECORD: str(record)}, options.output.with_suffix(".log"))
    marks = read_marks(record)
    contenders.check(contender, options, paths, marks)
    return result.measured(contender, options.model, finished, marks)


def _sentence(run: Run) -> str:
    steady = f"{run.steady:,.0f} images/s steady" if run.steady else "too few batches for a steady rate"
    return f"{run.model}, {run.contender}: {run.whole:,.0f} images/s whole, {run.start_up_s:.1f} s start-up, {steady}"


def _pairs(comparison: Comparison) -> list[tuple[str, str]]:
    """The bare loop has no model, so it runs once a round."""
    pairs = [(contender, model) for model in comparison.models for contender in comparison.contenders]
    return [pair for pair in pairs if pair[0] != "bare" or pair[1] == comparison.models[0]]


def _setting(comparison: Comparison, total_bytes: int) -> dict[str, Any]:
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"cores": cores(), "processor": _processor(), "system": platform.platform()},
        "versions": versions(),
        "images": {"count": comparison.images.count, "mean_bytes": round(total_bytes / comparison.images.count)},
        "batch_size": comparison.batch_size,
        "rounds": comparison.rounds,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
