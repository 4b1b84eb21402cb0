"""Metrics in words: the few lines that a terminal shows; those of whole evaluations are in test_evaluation."""

import pytest

from job.plan.records import ClassAccuracy, Confusion, Metrics
from job.results.metrics_text import metrics_lines

LONG = "a-class-whose-name-is-longer-than-a-line-of-a-terminal-can-take"
SHORT = "a-class-whose…ine-of-a-terminal-can-take"


def make_metrics(**fields):
    return Metrics(rows=100, failed_by_kind={}, **fields)


def make_accuracy(top1, per_class=None, wrong=1, **fields):
    confusion = Confusion(expected="dog", label="cat", count=wrong, share=0.5)
    return make_metrics(evaluated=50, top1=top1, per_class=per_class, confusions=[confusion] if wrong else [], **fields)


def test_without_figures_there_is_nothing_to_say():
    assert metrics_lines(None) == []


@pytest.mark.parametrize(
    ("k", "top_k", "said"), [(1, None, ""), (2, 0.75, ", top-2 75.0 %"), (5, 1, ", top-5 100.0 %")]
)
def test_accuracy_is_of_the_images_with_a_label(k, top_k, said):
    found = metrics_lines(make_accuracy(0.5, wrong=0, k=k, top_k=top_k))
    assert found == [f"top-1 50.0 %{said} of 50 images with an expected label"]


def test_the_worst_three_classes_are_named_and_none_that_is_all_right():
    accuracy = {name: ClassAccuracy(n=1000 + n, top1=n / 4) for n, name in enumerate(["a", LONG, "c", "d", "e"])}
    assert metrics_lines(make_accuracy(0.5, accuracy))[1] == (
        f"worst classes: a 0.0 % of 1,000, {SHORT} 25.0 % of 1,001, c 50.0 % of 1,002"
    )
    two = {"a": ClassAccuracy(n=2, top1=0.5), "b": ClassAccuracy(n=2, top1=1), "c": ClassAccuracy(n=1, top1=1)}
    assert metrics_lines(make_accuracy(0.5, two))[1] == "worst classes: a 50.0 % of 2"


@pytest.mark.parametrize(("wrong", "images"), [(1, "1 image"), (1200, "1,200 images")])
def test_the_costliest_confusion_is_counted(wrong, images):
    last = metrics_lines(make_accuracy(0.5, {"dog": ClassAccuracy(n=2, top1=0.5)}, wrong))[-1]
    assert last == f"costliest confusion: {images} of dog called cat, 50.0 % of the wrong ones"


def test_the_five_most_predicted_classes_are_named():
    predicted = {LONG: 3000, **dict.fromkeys("bcdef", 7)}
    assert metrics_lines(make_metrics(predicted_per_class=predicted)) == [
        f"most predicted: {SHORT} 3,000, b 7, c 7, d 7, e 7"
    ]


def test_a_run_that_predicted_nothing_says_so():
    assert metrics_lines(make_metrics(predicted_per_class={}, evaluated=0)) == ["nothing was predicted"]


def test_boxes_are_counted_with_the_images_that_have_none():
    assert metrics_lines(make_metrics(boxes=0, images_without_box=100, boxes_per_class={})) == [
        "0 boxes; 100 images without a box"
    ]
    assert metrics_lines(make_metrics(boxes=1, images_without_box=1, boxes_per_class={"dog": 1})) == [
        "1 box: dog 1; 1 image without a box"
    ]


def test_each_warning_follows_in_a_line_of_its_own():
    warned = make_accuracy(1.0, wrong=0, warnings=["odd labels", "too many"])
    assert metrics_lines(warned)[1:] == ["warning: odd labels", "warning: too many"]
