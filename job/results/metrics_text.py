"""Metrics in words: a few lines for a terminal, at a run's end and when a finished run is run again."""

from collections.abc import Iterator, Mapping

from job.plan.records import Metrics
from job.results.image_notes import notes_in_words
from job.terminal.wording import count, counted, percent, printable, shorten

LISTED_CLASSES = 3
LISTED_PREDICTED = 5


def metrics_lines(metrics: Metrics | None) -> list[str]:
    """Plain text, fit to print whatever the classes are named; nothing where there are no figures."""
    if metrics is None:
        return []
    return [
        *_figures(metrics),
        *notes_in_words(metrics.image_notes or {}),
        *(f"warning: {warning}" for warning in metrics.warnings),
    ]


def _figures(metrics: Metrics) -> Iterator[str]:
    if metrics.boxes is not None:
        without = counted(metrics.images_without_box or 0, "image")
        yield f"{counted(metrics.boxes, 'box')}{_most_common(metrics.per_predicted_class)}; {without} without a box"
    elif metrics.top1 is not None:
        yield from _accuracy(metrics, metrics.top1)
    elif metrics.per_predicted_class:
        yield f"most predicted{_most_common(metrics.per_predicted_class)}"
    else:
        yield "nothing was predicted"


def _accuracy(metrics: Metrics, top1: float) -> Iterator[str]:
    top_k = "" if metrics.top_k is None else f", top-{metrics.k} {percent(metrics.top_k)}"
    of = counted(metrics.evaluated or 0, "image")
    yield f"top-1 {percent(top1)}{top_k} of {of} with an expected label"
    if not metrics.confusions:
        return
    confusion = metrics.confusions[0]
    worst = [
        f"{shorten(name, 40)} {percent(row.top1)} of {count(row.n)}"
        for name, row in list((metrics.per_class or {}).items())[:LISTED_CLASSES]
        if row.top1 < 1
    ]
    yield f"worst classes: {', '.join(worst)}"
    yield (
        f"costliest confusion: {counted(confusion.count, 'image')} of {printable(confusion.expected)} called"
        f" {printable(confusion.label)}, {percent(confusion.share)} of the wrong ones"
    )


def _most_common(counts: Mapping[str, int]) -> str:
    some = ", ".join(f"{shorten(name, 40)} {count(n)}" for name, n in list(counts.items())[:LISTED_PREDICTED])
    return f": {some}" if some else ""
