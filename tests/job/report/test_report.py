import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from job.plan.records import Metrics
from job.report import page
from job.report.gallery import thumbnail
from job.report.page import RunFigures
from job.report.report import Report
from job.results.evaluation import Evaluation

HOSTILE = "\"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>\n{{ 7*7 }}'&amp;"


def classifications(rows: int, seed: int = 0, names: tuple[str, ...] = ("tench", "church", "gas pump")) -> pa.Table:
    chance = random.Random(seed)
    label = [chance.choice(names) for _ in range(rows)]
    score = [chance.random() for _ in range(rows)]
    error = [
        chance.choice(["missing: gone", "truncated: ends early"]) if chance.random() < 0.05 else None for _ in label
    ]

    def known(values: list[Any], type_: pa.DataType) -> pa.Array:
        return pa.array([None if bad else value for value, bad in zip(values, error, strict=True)], type_)

    return pa.table(
        {
            "uri": [f"s3://b/{seed}/{i}.jpg" for i in range(rows)],
            "expected": [name if chance.random() < 0.8 else chance.choice(names) for name in label],
            "error": pa.array(error, pa.string()),
            "width": known([400] * rows, pa.int32()),
            "height": known([300] * rows, pa.int32()),
            "label": known(label, pa.string()),
            "score": known(score, pa.float32()),
            "top_labels": known([[name, "other"] for name in label], pa.list_(pa.string())),
            "top_scores": known([[value, 0.0] for value in score], pa.list_(pa.float32())),
            "kept": [b"x"] * rows,
        }
    )


def detections(rows: int, seed: int = 0) -> pa.Table:
    chance = random.Random(seed)
    scores = [
        sorted((0.9 + chance.random() / 10 for _ in range(chance.randrange(4))), reverse=True) for _ in range(rows)
    ]
    error = [chance.random() < 0.05 for _ in range(rows)]

    def known(values: list[Any], type_: pa.DataType) -> pa.Array:
        return pa.array([None if bad else value for value, bad in zip(values, error, strict=True)], type_)

    return pa.table(
        {
            "uri": [f"s3://b/{seed}/{i}.jpg" for i in range(rows)],
            "expected": pa.nulls(rows, pa.string()),
            "error": pa.array(["empty: no bytes" if bad else None for bad in error], pa.string()),
            "width": known([400] * rows, pa.int32()),
            "height": known([300] * rows, pa.int32()),
            "boxes": known(
                [[[40.0, 30.0, 200.0, 150.0]] * len(own) for own in scores], pa.list_(pa.list_(pa.float32()))
            ),
            "labels": known([[chance.choice(["dog", "car"]) for _ in own] for own in scores], pa.list_(pa.string())),
            "scores": known(scores, pa.list_(pa.float32())),
        }
    )


def make_figures(evaluation: Evaluation, **changes: Any) -> RunFigures:
    metrics = evaluation.metrics() or Metrics(rows=0, failed_by_kind={})
    failed_by_kind = metrics.failed_by_kind
    values: dict[str, Any] = {
        "run_id": "demo-0123abcd",
        "name": "demo",
        "model": "torchvision resnet18",
        "source": "s3://b",
        "output": "s3://results/runs/demo-0123abcd",
        "images": metrics.rows,
        "failed": sum(failed_by_kind.values()),
        "failed_by_kind": failed_by_kind,
        "seconds": 245.0,
        "images_per_second": 1234.5,
        "bottleneck": "decode",
        "started": datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        "finished": datetime(2026, 3, 1, 12, 4, 5, tzinfo=UTC),
        "engine": "local",
        "replicas": 1,
        "device": "cpu",
        "precision": "float32",
        "versions": {"tench": "0.1.0"},
        "metrics": metrics,
    }
    return RunFigures(**(values | changes))


def render(task: Any, table: pa.Table, samples: int = 6, pictures: bool = True, **changes: Any) -> str:
    report, evaluation = Report(task, samples, "demo-0123abcd"), Evaluation()
    report.add(table, 0)
    evaluation.add(table)
    image = thumbnail(np.full((300, 400, 3), 128, dtype=np.uint8))
    thumbnails = {sample.key: image for sample in report.sampled()} if pictures else {}
    return report.render(make_figures(evaluation, **changes), thumbnails)


class Parsed(HTMLParser):
    """What a browser's parser sees: elements with their attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data + " "

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize(("task", "make"), [("classify", classifications), ("detect", detections)])
def test_the_same_rows_are_picked_in_whatever_order_shards_come(task: Any, make: Callable[..., pa.Table]) -> None:
    shards = {shard: make(200, seed=shard) for shard in range(6)}
    first, second = Report(task, 5, "run-1"), Report(task, 5, "run-1")
    for shard in shards:
        first.add(shards[shard], shard)
    for shard in reversed(shards):
        second.add(shards[shard], shard)
    assert first.sampled() == second.sampled()
    assert first.render(make_figures(Evaluation()), {}) == second.render(make_figures(Evaluation()), {})
    other = Report(task, 5, "run-2")
    for shard in shards:
        other.add(shards[shard], shard)
    assert {sample.key for sample in other.sampled()} != {sample.key for sample in first.sampled()}


def test_memory_is_bounded_by_the_number_of_samples() -> None:
    report = Report("classify", 4, "run-1")
    for shard in range(50):
        report.add(classifications(100, seed=shard), shard)
    assert 4 <= len(report.sampled()) <= 12
    held = [report._sample, report._least_certain, report._wrong, report._without_box]
    assert all(len(shortlist._entries) <= 4 for shortlist in held)
    assert all(len(shortlist._entries) <= 10 for shortlist in report._failed.values())


def test_the_galleries_hold_the_lowest_scores_and_the_surest_mistakes() -> None:
    report, rows = Report("classify", 3, "run-1"), []
    for shard in range(4):
        table = classifications(100, seed=shard)
        report.add(table, shard)
        rows += [row | {"key": (shard, i)} for i, row in enumerate(table.to_pylist()) if row["error"] is None]
    _, least_certain, wrong = report._galleries()
    lowest = sorted(rows, key=lambda row: row["score"])[:3]
    surest = sorted((row for row in rows if row["label"] != row["expected"]), key=lambda row: -row["score"])[:3]
    assert [sample.key for sample in least_certain.sampled] == [row["key"] for row in lowest]
    assert [sample.key for sample in wrong.sampled] == [row["key"] for row in surest]
    assert [sample.uri for sample in wrong.sampled] == [row["uri"] for row in surest]


def test_detections_are_ranked_by_their_mean_score_and_empty_images_are_apart() -> None:
    report, table = Report("detect", 3, "run-1"), detections(200)
    report.add(table, 0)
    _, least_certain, without_box = report._galleries()
    boxed = [(np.mean(scores), row) for row, scores in enumerate(table["scores"].to_pylist()) if scores]
    assert [sample.row for sample in least_certain.sampled] == [row for _, row in sorted(boxed)[:3]]
    assert [sample.boxes for sample in without_box.sampled] == [(), (), ()]
    assert all(table["scores"][sample.row].as_py() == [] for sample in without_box.sampled)


def test_names_and_uris_cannot_become_markup() -> None:
    table = pa.table(
        {
            "uri": [f"s3://b/{HOSTILE}.jpg", f"s3://b/{HOSTILE}"],
            "expected": [HOSTILE + "2", HOSTILE],
            "error": pa.array([None, f"{HOSTILE}: {HOSTILE}"], pa.string()),
            "width": [400, None],
            "height": [300, None],
            "label": [HOSTILE, None],
            "score": pa.array([0.5, None], pa.float32()),
            "top_labels": [[HOSTILE, "b"], None],
            "top_scores": pa.array([[0.5, 0.5], None], pa.list_(pa.float32())),
        }
    )
    parsed = Parsed(
        render("classify", table, name=HOSTILE, source=HOSTILE, device=HOSTILE, problem=HOSTILE, spec=HOSTILE,
               model=HOSTILE, run_id=HOSTILE, versions={HOSTILE: HOSTILE})
    )  # fmt: skip
    assert not parsed.all("script")
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert all((image["src"] or "").startswith("data:image/webp;base64,") for image in parsed.all("img"))
    assert "<script>alert(1)</script>" in parsed.text
    assert "{{ 7*7 }}" in parsed.text


def test_boxes_named_by_a_stranger_cannot_become_markup_either() -> None:
    table = detections(30)
    labels = [None if own is None else [HOSTILE] * len(own) for own in table["labels"].to_pylist()]
    parsed = Parsed(render("detect", table.set_column(6, "labels", pa.array(labels, pa.list_(pa.string())))))
    assert not parsed.all("script")
    assert len([span for span in parsed.all("span") if span.get("class") == "tag"]) > 5


@pytest.mark.parametrize(("task", "make"), [("classify", classifications), ("detect", detections)])
def test_the_page_refers_to_nothing_outside_itself(task: Any, make: Callable[..., pa.Table]) -> None:
    parsed = Parsed(render(task, make(200)))
    references = [
        value
        for _, attributes in parsed.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
    ]
    assert references
    assert all(value and value.startswith(("data:", "#")) for value in references)
    assert not re.search(
        r"url\(|@import", Path(page.__file__).with_name("templates").joinpath("report.css.j2").read_text()
    )
    assert all(image["alt"] for image in parsed.all("img"))
    anchors = {attributes.get("id") for _, attributes in parsed.elements}
    assert {value[1:] for value in references if value and value.startswith("#")} <= anchors


def test_figures_carry_separators_and_units() -> None:
    text = Parsed(render("classify", classifications(1500), bottleneck="decode")).text
    for words in ("1,500", "1,234", "4 min 05 s", "bottleneck: decode", "2026-03-01 12:04:05 UTC", "1 replica"):
        assert words in text
    assert "The costliest confusion:" in text


def test_a_resume_that_found_everything_done_shows_no_rate() -> None:
    assert "Images a second" not in Parsed(render("classify", classifications(20), images_per_second=0.0)).text


def test_a_failed_run_says_why() -> None:
    parsed = Parsed(render("classify", classifications(50), problem="12 of 50 images failed"))
    assert "The run failed. 12 of 50 images failed" in parsed.words


def test_failed_rows_are_shown_by_kind_with_their_reason() -> None:
    table = classifications(300)
    parsed = Parsed(render("classify", table))
    text = parsed.words
    errors = [error for error in table["error"].to_pylist() if error]
    assert f"{len(errors)} images could not be used" in text
    for kind, reason in (("missing", "gone"), ("truncated", "ends early")):
        number = sum(error.startswith(kind) for error in errors)
        assert re.search(rf"{kind} {page.ERROR_MEANINGS[kind]} {number} images s3://b/0/\d+\.jpg {reason}", text)


def test_more_classes_than_fit_are_folded() -> None:
    names = tuple(f"class {i:04d}" for i in range(1200))
    table = classifications(6000, names=names)
    parsed = Parsed(render("classify", table, samples=0))
    predicted = len(set(table["label"].drop_null().to_pylist()))
    assert predicted > 1030
    assert f"{predicted - 30:,} more classes" in parsed.words
    assert f"{predicted - 1000} more classes in _SUCCESS" in parsed.words
    assert not parsed.all("img")


def test_a_picture_that_could_not_be_fetched_again_is_said_so() -> None:
    parsed = Parsed(render("classify", classifications(50), pictures=False))
    assert not parsed.all("img")
    assert "picture not fetched" in parsed.text


@pytest.mark.parametrize("task", ["classify", "detect"])
def test_a_run_whose_every_image_failed_still_has_a_page(task: Any) -> None:
    table = classifications(5) if task == "classify" else detections(5)
    at = table.column_names.index("error")
    table = table.set_column(at, "error", pa.array(["missing: gone"] * 5))
    assert "5 images could not be used" in Parsed(render(task, table)).text


def test_a_score_that_is_no_number_is_shown_as_the_least_certain() -> None:
    table = classifications(50)
    scores = [None if error else float("nan") if i == 7 else 0.5 for i, error in enumerate(table["error"].to_pylist())]
    table = table.set_column(
        table.column_names.index("score"), "score", pa.array(scores, pa.float32(), from_pandas=False)
    )
    report = Report("classify", 3, "run-1")
    report.add(table, 0)
    assert report._galleries()[1].sampled[0].row == 7
    assert "1 score is not a number" in Parsed(render("classify", table)).words
