"""The report's page: figures, bars and galleries as the template lays them out.

`report` gives it what was gathered. Every text goes through the template's escaping: names and URIs come from
whoever owns the images. The page loads nothing, and says so in its content security policy.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from job.plan.records import ClassAccuracy, LeftOut, Metrics
from job.report.gallery import class_colours, to_item
from job.report.histogram import ScoreHistogram
from job.report.sampled_rows import SampledRow
from job.results.image_notes import notes_in_words
from job.results.left_out_text import left_out_lines
from job.terminal import wording

OPEN_BARS = 30  # classes shown at once; the rest is folded
MAX_BARS = 1000  # classes on the page, which has to stay small; `_SUCCESS` has all
ERROR_MEANINGS = {
    "missing": "the object was gone when it was read",
    "unreadable": "the store kept failing",
    "changed": "it was replaced after the plan was made",
    "empty": "the object has no bytes",
    "not-an-image": "the bytes are of no format that is read",
    "unsupported": "the file is whole, of a kind that nothing here reads",
    "truncated": "the file ends before the picture does",
    "too-large": "more bytes or pixels than the spec allows",
    "crashed": "decoding it killed a process",
}


@dataclass(frozen=True)
class RunFigures:
    """What is known of a run when it ends; `failed_by_kind` and `problem` also of one that failed."""

    run_id: str
    name: str
    model: str
    source: str
    output: str
    images: int
    failed: int
    failed_by_kind: Mapping[str, int]
    seconds: float
    images_per_second: float  # 0 where this attempt found every image done
    bottleneck: str | None
    started: datetime
    finished: datetime
    engine: str
    replicas: int
    device: str
    precision: str
    versions: Mapping[str, str]
    metrics: Metrics
    problem: str | None = None  # why the run counts as failed; None for one that is complete
    spec: str | None = None  # the spec as text
    left_out: Sequence[LeftOut] = ()  # what the source holds beside the images


@dataclass(frozen=True)
class Gallery:
    """Pictures under one heading; `name` is its anchor."""

    name: str
    title: str
    note: str
    sampled: Sequence[SampledRow]


@dataclass(frozen=True)
class FailedRow:
    uri: str
    error: str


@dataclass(frozen=True)
class Tile:
    """A key figure."""

    title: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart; `length` is in percent."""

    name: str
    length: float
    value: str
    note: str = ""
    colour: str | None = None


def render_page(
    figures: RunFigures,
    galleries: Sequence[Gallery],
    scores: ScoreHistogram,
    failed: Mapping[str, Sequence[FailedRow]],
    thumbnails: Mapping[tuple[int, int], bytes],
) -> str:
    """The whole page as one HTML document."""
    metrics = figures.metrics
    per_class, is_detection = metrics.per_predicted_class, metrics.boxes is not None
    colours = class_colours(list(per_class)) if is_detection else {}
    items = {
        gallery.name: [to_item(sample, thumbnails.get(sample.key), colours) for sample in gallery.sampled]
        for gallery in galleries
    }
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            figures=figures,
            metrics=metrics,
            tiles=_tiles(figures),
            accuracy_bars=_accuracy_bars(metrics.per_class or {}),
            class_bars=_class_bars(per_class, colours),
            class_total=len(per_class),
            histogram=_histogram(scores, has_expected=metrics.top1 is not None),
            galleries=[(gallery, items[gallery.name]) for gallery in galleries],
            failed=failed,
            meanings=ERROR_MEANINGS,
            notes=list(notes_in_words(metrics.image_notes or {})),
            left_out=left_out_lines(figures.left_out),
            open_bars=OPEN_BARS,
            is_detection=is_detection,
        )
    )


@cache
def _environment() -> Environment:
    """Keeps the templates that it has compiled, which takes 0.3 s."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": wording.count,
        "percent": lambda fraction: wording.percent(fraction).replace(" ", "\N{NO-BREAK SPACE}"),
        "duration": wording.duration,
        "printable": wording.printable,
        "shorten": wording.shorten,
        "score": wording.score,
        "time": _time,
    }
    environment.globals["counted"] = wording.counted
    return environment


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _tiles(figures: RunFigures) -> list[Tile]:
    metrics = figures.metrics
    failed_share = wording.percent(figures.failed / figures.images) if figures.images else ""
    tiles = [
        Tile("Images", wording.count(figures.images)),
        Tile("Failed", wording.count(figures.failed), f"{failed_share} of the images" if figures.failed else ""),
    ]
    if metrics.top1 is not None:
        tiles.append(
            Tile("Top-1", wording.percent(metrics.top1), f"of {wording.count(metrics.evaluated or 0)} labelled")
        )
    if metrics.boxes is not None:
        without = wording.counted(metrics.images_without_box or 0, "image")
        tiles.append(Tile("Boxes", wording.count(metrics.boxes), f"{without} without one"))
    if figures.images_per_second:
        bottleneck = f"bottleneck: {figures.bottleneck}" if figures.bottleneck else ""
        tiles.append(Tile("Images a second", wording.rate(figures.images_per_second), bottleneck))
    tiles.append(Tile("Time", wording.duration(figures.seconds), f"{figures.engine} engine"))
    return tiles


def _accuracy_bars(per_class: Mapping[str, ClassAccuracy]) -> list[Bar]:
    return [
        Bar(name, 100 * row.top1, wording.percent(row.top1), f"of {wording.count(row.n)}")
        for name, row in list(per_class.items())[:MAX_BARS]
    ]


def _class_bars(counts: Mapping[str, int], colours: Mapping[str, str]) -> list[Bar]:
    largest, total = max(counts.values(), default=1), sum(counts.values())
    return [
        Bar(name, 100 * number / largest, wording.count(number), wording.percent(number / total), colours.get(name))
        for name, number in list(counts.items())[:MAX_BARS]
    ]


def _histogram(scores: ScoreHistogram, has_expected: bool) -> dict[str, Any] | None:
    """Heights in percent on a square-root scale: of most models nearly all scores fall into the last bin."""
    if not scores.total:
        return None
    bins = scores.bins()
    low = bins[0].low
    top = 4 * _nice_number(max(entry.count for entry in bins) / 4)

    def height(number: int) -> float:
        return 100 * math.sqrt(number / top)

    return {
        "bins": [(entry, height(entry.count), height(entry.wrong)) for entry in bins],
        "marks": [f"{low + i * (1 - low) / 5:g}" for i in range(6)],
        "ticks": [(number, height(number)) for number in (top, top // 4, 0)],
        "has_expected": has_expected,
        "median": scores.quantile(0.5),
        "tenth": scores.quantile(0.1),
        "not_numbers": scores.not_numbers,
        "total": scores.total,
    }


def _nice_number(least: float) -> int:
    """The smallest of 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, … that is not below."""
    power: int = 10 ** max(0, math.floor(math.log10(max(least, 1))))
    steps = [power, power * 3 // 2, *(power * step for step in (2, 3, 4, 5, 6, 8, 10))]
    return next(step for step in steps if step >= least)
