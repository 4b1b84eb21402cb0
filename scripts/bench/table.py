"""The benchmark's tables, for a person: one a model, and what is required. Prints; computes nothing but ratios."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from scripts.bench.result import Run, ratio, verdicts

TITLES = {
    "plain": "plain Ray Data",
    "dataloader": "DataLoader loop",
    "local": "tench, local",
    "ray": "tench, ray",
    "bare": "bare loop",
}


LEGEND = (
    "whole: all images over the process's life; start: seconds until the first batch is predicted; steady: from there, "
    "without what was decoded meanwhile; GB: peak memory of all its processes"
)


def print_results(console: Console, runs: Sequence[Run]) -> None:
    """`runs` are medians."""
    for model in dict.fromkeys(run.model for run in runs):
        console.print(_model_table(model, runs))
    console.print(LEGEND, highlight=False)
    _print_verdicts(console, runs)


def _model_table(model: str, runs: Sequence[Run]) -> Table:
    table = Table(title=f"{model}, images a second", title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in ("whole", "÷ plain", "÷ loader", "start s", "steady", "÷ bare", "GB"):
        table.add_column(heading, justify="right")
    shown = [run for run in runs if run.model == model or run.contender == "bare"]
    for run in sorted(shown, key=lambda run: list(TITLES).index(run.contender)):
        table.add_row(
            TITLES[run.contender],
            f"{run.whole:,.0f}",
            _times(ratio(runs, model, run.contender, "whole", "plain")),
            _times(ratio(runs, model, run.contender, "whole", "dataloader")),
            f"{run.start_up_s:.1f}",
            f"{run.steady:,.0f}" if run.steady else "",
            _times(ratio(runs, model, run.contender, "steady", "bare")),
            f"{run.peak_bytes / 1e9:.1f}" if run.peak_bytes else "",
        )
    return table


def _print_verdicts(console: Console, runs: Sequence[Run]) -> None:
    for requirement, value in verdicts(runs):
        mark = "[green]✓[/]" if value >= requirement.times else "[red]✗ short[/]"
        what = f"{requirement.ours} ÷ {requirement.other}, {requirement.figure}"
        console.print(f"{mark} {what}: {value:.2f} (at least {requirement.times:g})", highlight=False)


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
