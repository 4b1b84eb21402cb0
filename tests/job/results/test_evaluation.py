import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.plan.records import Metrics
from job.results import accuracy
from job.results.evaluation import Evaluation, failed_by_kind
from job.results.metrics_text import metrics_lines

NAMES = ["tench", "church", "gas pump", "café", "", "a\nb", "<b>"]
KINDS = ["missing", "truncated", "not-an-image"]


@dataclass
class Row:
    expected: str | None
    top: list[str]
    error: str | None


def classifications(rows: Sequence[Row]) -> pa.Table:
    tops = [None if row.error else row.top for row in rows]
    return pa.table(
        {
            "uri": pa.array([f"s3://b/{i}.jpg" for i in range(len(rows))], pa.string()),
            "expected": pa.array([row.expected for row in rows], pa.string()),
            "error": pa.array([row.error for row in rows], pa.string()),
            "label": pa.array([top[0] if top else None for top in tops], pa.string()),
            "top_labels": pa.array(tops, pa.list_(pa.string())),
        }
    )


def detections(images: Sequence[list[str] | None]) -> pa.Table:
    """An image is the labels of its boxes, or None for one that failed."""
    return pa.table(
        {
            "error": pa.array(["empty: no bytes" if labels is None else None for labels in images], pa.string()),
            "boxes": pa.array([labels and [[0.0, 0.0, 1.0, 1.0]] * len(labels) for labels in images]),
            "labels": pa.array(images, pa.list_(pa.string())),
        }
    )


def figures(evaluation: Evaluation) -> dict[str, Any] | None:
    """The metrics as `_SUCCESS` has them."""
    metrics = evaluation.metrics()
    return None if metrics is None else json.loads(metrics.model_dump_json())


rows_strategy = st.lists(
    st.builds(
        Row,
        expected=st.none() | st.sampled_from(NAMES),
        top=st.lists(st.sampled_from(NAMES), min_size=1, max_size=7, unique=True),
        error=st.none() | st.none() | st.sampled_from([f"{kind}: why: {kind}" for kind in KINDS]),
    ),
    max_size=40,
)


def naive(rows: Sequence[Row]) -> dict[str, object]:
    read = [row for row in rows if row.error is None]
    labelled = [row for row in read if row.expected is not None]
    right = [row for row in labelled if row.top[0] == row.expected]
    wrong = Counter((row.expected, row.top[0]) for row in labelled if row.top[0] != row.expected)
    seen = Counter(row.expected for row in labelled)
    return {
        "rows": len(rows),
        "failed_by_kind": Counter(row.error.partition(":")[0] for row in rows if row.error),
        "predicted_per_class": Counter(row.top[0] for row in read),
        "evaluated": len(labelled),
        "top1": len(right) / len(labelled) if labelled else None,
        "in_top5": sum(row.expected in row.top[:5] for row in labelled) / len(labelled) if labelled else None,
        "k": min(5, max((len(row.top) for row in read), default=0)),
        "per_class": {
            name: {"n": n, "top1": sum(row.expected == name for row in right) / n} for name, n in seen.items()
        },
        "confusions": sorted(((-n, *pair) for pair, n in wrong.items()))[:10],
        "wrong": sum(wrong.values()),
    }


@settings(max_examples=200, deadline=None)
@given(rows=rows_strategy, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_metrics_are_those_of_a_plain_loop(rows: list[Row], cuts: list[int]) -> None:
    table = classifications(rows)
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    evaluation = Evaluation()
    for start, end in pairwise(edges):
        evaluation.add(table.slice(start, end - start))
    metrics, wanted = figures(evaluation), naive(rows)
    if not rows:
        assert metrics is None
        return
    assert metrics is not None
    assert Metrics.model_validate_json(json.dumps(metrics)) == evaluation.metrics()
    for key in ("rows", "failed_by_kind", "predicted_per_class", "evaluated"):
        assert metrics[key] == wanted[key], key
    assert metrics.get("top1") == wanted["top1"]
    if not wanted["evaluated"]:
        return
    assert metrics["k"] == wanted["k"]
    if metrics["k"] > 1:
        assert metrics[f"top{metrics['k']}"] == wanted["in_top5"]
    assert metrics["per_class"] == wanted["per_class"]
    found = [(-confusion["count"], confusion["expected"], confusion["label"]) for confusion in metrics["confusions"]]
    assert found == wanted["confusions"]
    assert all(confusion["share"] == confusion["count"] / wanted["wrong"] for confusion in metrics["confusions"])


@settings(max_examples=50, deadline=None)
@given(images=st.lists(st.none() | st.lists(st.sampled_from(NAMES), max_size=5), min_size=1, max_size=30))
def test_boxes_are_counted_by_class_and_images_without_one(images: list[list[str] | None]) -> None:
    evaluation = Evaluation()
    evaluation.add(detections(images[:7]))
    evaluation.add(detections(images[7:]))
    metrics = figures(evaluation)
    assert metrics is not None
    assert metrics["boxes_per_class"] == Counter(label for labels in images for label in labels or ())
    assert metrics["boxes"] == sum(len(labels or ()) for labels in images)
    assert metrics["images_without_box"] == sum(labels == [] for labels in images)
    assert sum(metrics["failed_by_kind"].values()) == images.count(None)


def test_classes_and_predictions_are_in_the_order_a_reader_wants() -> None:
    evaluation = Evaluation()
    evaluation.add(classifications([Row("a", ["a"], None)] * 3 + [Row("b", ["a"], None)] + [Row("c", ["c"], None)] * 2))
    metrics = figures(evaluation)
    assert metrics is not None
    assert list(metrics["per_class"]) == ["b", "a", "c"]
    assert list(metrics["predicted_per_class"]) == ["a", "c"]


def test_an_expected_label_that_is_no_class_of_the_model_counts_as_wrong_and_is_warned_of() -> None:
    evaluation = Evaluation()
    evaluation.know(["tench", "church"])
    evaluation.add(classifications([Row("n01440764", ["tench"], None)] * 3 + [Row("church", ["church"], None)]))
    metrics = figures(evaluation)
    assert metrics is not None
    assert metrics["top1"] == 0.25
    assert metrics["unknown_expected"] == {"n01440764": 3}
    [warning] = metrics["warnings"]
    assert "3 images expected 1 label that are none of the model's classes (n01440764)" in warning
    assert "source.label_names" in warning


def test_a_class_that_the_model_has_and_gave_for_no_image_is_not_warned_of() -> None:
    evaluation = Evaluation()
    evaluation.know(["tench", "church", "gas pump"])
    evaluation.know([])  # as of a table that says nothing
    evaluation.add(classifications([Row("gas pump", ["tench", "church"], None), Row("church", ["church"], None)]))
    metrics = figures(evaluation)
    assert metrics is not None
    assert (metrics["unknown_expected"], metrics["warnings"]) == ({}, [])


def test_nothing_is_called_unknown_where_the_models_classes_are_not_known() -> None:
    evaluation = Evaluation()
    evaluation.add(classifications([Row("gas pump", ["tench"], None)]))
    metrics = figures(evaluation)
    assert metrics is not None
    assert (metrics["unknown_expected"], metrics["warnings"]) == ({}, [])


def test_ids_given_as_labels_stop_growing_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "MAX_CLASSES", 50)
    monkeypatch.setattr(accuracy, "MAX_CONFUSIONS", 20)
    evaluation = Evaluation()
    for start in range(0, 1000, 100):
        evaluation.add(classifications([Row(f"id-{i}", ["tench"], None) for i in range(start, start + 100)]))
    metrics = figures(evaluation)
    assert metrics is not None
    assert metrics["evaluated"] == 1000
    assert len(metrics["per_class"]) == 50
    assert any("label_from" in warning for warning in metrics["warnings"])


def test_dictionary_columns_and_an_all_null_expected_are_read_too() -> None:
    table = classifications([Row("a", ["a", "b"], None), Row("b", ["a", "b"], None)])
    encoded = table.set_column(1, "expected", table["expected"].dictionary_encode())
    evaluation = Evaluation()
    evaluation.add(encoded)
    evaluation.add(table.set_column(1, "expected", pa.nulls(2)))
    metrics = figures(evaluation)
    assert metrics is not None
    assert (metrics["rows"], metrics["evaluated"], metrics["top1"], metrics["top2"]) == (4, 2, 0.5, 1.0)


def test_the_summary_names_the_worst_class_and_the_costliest_confusion() -> None:
    evaluation = Evaluation()
    rows = [Row("church", ["castle", "church"], None)] * 3 + [Row("church", ["church", "castle"], None)]
    rows += [Row("tench", ["tench", "church"], None)] * 1995 + [Row("tench", ["castle", "church"], None)]
    evaluation.add(classifications([*rows, Row("tench", [], "missing: gone")]))
    assert metrics_lines(evaluation.metrics()) == [
        "top-1 99.8 %, top-2 99.95 % of 2,000 images with an expected label",
        "worst classes: church 25.0 % of 4, tench 99.9 % of 1,996",
        "costliest confusion: 3 images of church called castle, 75.0 % of the wrong ones",
    ]


def test_the_summary_of_detections_counts_boxes() -> None:
    evaluation = Evaluation()
    evaluation.add(detections([["dog", "dog"], ["car"], [], None]))
    assert metrics_lines(evaluation.metrics()) == ["3 boxes: dog 2, car 1; 1 image without a box"]


def test_the_summary_prints_no_control_character() -> None:
    evaluation = Evaluation()
    evaluation.add(classifications([Row("\x1b[31mred", ["two\nlines"], None), Row("\u202egpj", ["two\nlines"], None)]))
    lines = metrics_lines(evaluation.metrics())
    assert any("\\x1b[31mred called two\\nlines" in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_without_expected_labels_the_summary_says_what_was_predicted() -> None:
    evaluation = Evaluation()
    assert metrics_lines(evaluation.metrics()) == []
    evaluation.add(classifications([Row(None, ["tench"], None)] * 2 + [Row(None, ["church"], None)]))
    assert metrics_lines(evaluation.metrics()) == ["most predicted: tench 2, church 1"]


def test_errors_are_counted_by_what_stands_before_the_colon() -> None:
    errors = pa.array(["missing: a: b", None, "missing: c", "crashed: decoding"], pa.string())
    assert failed_by_kind(errors) == {"missing": 2, "crashed": 1}


@pytest.mark.parametrize("kinds", [["missing", "empty"], ["empty", "missing"]])
def test_kinds_that_are_equally_frequent_are_in_the_order_of_their_names(kinds: list[str]) -> None:
    evaluation = Evaluation()
    for kind in [*kinds, "truncated", "truncated"]:
        evaluation.add(classifications([Row(None, [], f"{kind}: why")]))
    assert list(evaluation.failed_by_kind.items()) == [("truncated", 2), ("empty", 1), ("missing", 1)]


def noted(*notes: list[str] | None) -> pa.Table:
    table = classifications([Row(None, ["a"], None)] * len(notes))
    return table.append_column("image_notes", pa.array(notes, pa.list_(pa.string())))


def test_how_images_were_read_is_counted_also_beside_files_that_do_not_say() -> None:
    evaluation = Evaluation()
    evaluation.add(noted(["orientation-applied"], None, ["depth-clipped", "orientation-applied"]))
    evaluation.add(classifications([Row(None, ["a"], None)]))  # of an older version
    found = figures(evaluation)
    assert found is not None
    assert found["image_notes"] == {"orientation-applied": 2, "depth-clipped": 1}
    lines = metrics_lines(evaluation.metrics())
    assert "2 images stored turned, read upright" in lines
    assert "1 image deeper than 8 bits, cut off at 255" in lines
    assert any("1 image of 16 or 32 bits or floats was cut off" in line for line in lines)


@pytest.mark.parametrize(("kept", "warned"), [(1, False), (2, True)])
def test_many_images_left_turned_are_warned_of(kept: int, warned: bool) -> None:
    evaluation = Evaluation()
    evaluation.add(noted(*[["orientation-kept"]] * kept, *[None] * (100 - kept)))
    metrics = evaluation.metrics()
    assert metrics is not None
    assert metrics.image_notes == {"orientation-kept": kept}
    assert bool(metrics.warnings) == warned
    if warned:
        assert "2 images, 2.0 %, are stored turned" in metrics.warnings[0]
        assert "source.orientation: apply" in metrics.warnings[0]


def test_without_a_note_nothing_is_said() -> None:
    evaluation = Evaluation()
    evaluation.add(noted(None, None))
    found = figures(evaluation)
    assert found is not None
    assert "image_notes" not in found
    assert found["warnings"] == []


@pytest.mark.parametrize(("differ", "warned"), [(1, False), (2, True)])
def test_how_many_labels_scaling_changed_is_said_and_warned_of(differ: int, warned: bool) -> None:
    evaluation = Evaluation()
    agree = [["scaled", "scaled-agrees"]] * (100 - differ)
    evaluation.add(noted(*[["scaled"]] * 900, *agree, *[["scaled", "scaled-differs"]] * differ))
    metrics = evaluation.metrics()
    assert metrics is not None
    assert metrics.image_notes == {"scaled": 1000, "scaled-agrees": 100 - differ, "scaled-differs": differ}
    lines = metrics_lines(metrics)
    assert "1,000 images decoded at a reduced scale" in lines
    assert f"scaled decoding: {100 - differ}.0 % of 100 sampled images labelled as by exact decoding" in lines
    assert bool(metrics.warnings) == warned
    if warned:
        assert (
            "2 images of 100 that were decoded both scaled and exactly were labelled otherwise" in metrics.warnings[0]
        )
