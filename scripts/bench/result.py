"""Results: what a run's record says, medians over rounds, what is required of them, and the JSON document.

Pure arithmetic on `Mark`s and seconds; `scripts.bench.table` prints it. It starts nothing.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from scripts.bench.process import Finished
from scripts.bench.record import Mark

Figure = Literal["whole", "steady"]


@dataclass(frozen=True)
class Run:
    """One contender, once. Rates are images a second."""

    contender: str
    model: str
    images: int
    whole: float  # all images over all of the process's life
    start_up_s: float  # until the first batch is predicted
    steady: float | None  # None where there were too few batches to tell
    peak_bytes: int | None


@dataclass(frozen=True)
class Requirement:
    """With the stub, `ours` is at least `times` as fast as `other`."""

    ours: str
    figure: Figure
    other: str
    times: float


REQUIREMENTS = (
    Requirement("local", "whole", "plain", 8),
    Requirement("local", "whole", "dataloader", 1.5),
    Requirement("ray", "whole", "plain", 4),
    Requirement("local", "steady", "bare", 0.65),
    Requirement("ray", "steady", "bare", 0.65),
)
STUB = "stub"


def measured(contender: str, model: str, finished: Finished, marks: Sequence[Mark]) -> Run:
    images = marks[-1].images
    return Run(
        contender=contender,
        model=model,
        images=images,
        whole=images / (finished.ended_s - finished.started_s),
        start_up_s=marks[0].at_s - finished.started_s,
        steady=steady_rate(marks),
        peak_bytes=finished.peak_bytes,
    )


def steady_rate(marks: Sequence[Mark]) -> float | None:
    """Images a second once the backlog is gone: images that were decoded while the model loaded come in one burst.

    Counted to the last batch, from the first after which the next was as far away as an average one still to come:
    that is the end of a burst. None where fewer than three batches are left to count.
    """
    last = marks[-1]
    for number, (mark, following) in enumerate(pairwise(marks[:-2])):
        average_s = (last.at_s - mark.at_s) / (len(marks) - 1 - number)
        if following.at_s - mark.at_s >= average_s:
            return (last.images - mark.images) / (last.at_s - mark.at_s)
    return None


def medians(runs: Sequence[Run]) -> list[Run]:
    """One a model and contender, in the order of their first runs."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.model, run.contender), []).append(run)
    return [_median(group) for group in groups.values()]


def _median(group: Sequence[Run]) -> Run:
    steady = [run.steady for run in group if run.steady]
    peaks = [run.peak_bytes for run in group if run.peak_bytes]
    return Run(
        contender=group[0].contender,
        model=group[0].model,
        images=group[0].images,
        whole=statistics.median(run.whole for run in group),
        start_up_s=statistics.median(run.start_up_s for run in group),
        steady=statistics.median(steady) if steady else None,
        peak_bytes=int(statistics.median(peaks)) if peaks else None,
    )


def ratio(runs: Sequence[Run], model: str, ours: str, figure: Figure, other: str) -> float | None:
    """None where one of the two was not run. The bare loop has no model: it is measured once, beside the stub."""
    figures = {run.contender: getattr(run, figure) for run in runs if run.model == model or run.contender == "bare"}
    return figures[ours] / figures[other] if figures.get(ours) and figures.get(other) else None


def verdicts(runs: Sequence[Run]) -> list[tuple[Requirement, float]]:
    """Every requirement that both its contenders were run for, with the ratio that was measured."""
    found = [(each, ratio(runs, STUB, each.ours, each.figure, each.other)) for each in REQUIREMENTS]
    return [(requirement, value) for requirement, value in found if value is not None]


def document(runs: Sequence[Run], setting: dict[str, Any]) -> dict[str, Any]:
    """`setting` says on what was measured."""
    middle = medians(runs)
    return {
        **setting,
        "medians": [asdict(run) for run in middle],
        "requirements": [
            {**asdict(requirement), "measured": round(value, 3), "met": value >= requirement.times}
            for requirement, value in verdicts(middle)
        ],
        "runs": [asdict(run) for run in runs],
    }
