"""Ours in batches of mixed sizes against torchvision's detectors given one image at a time, float32, same weights."""

import pytest
import torch
from models import make_model_spec
from parity import PICTURES, WEIGHTS, draw_detection_pictures, make_odd_pictures, open_with_pillow, predict
from safetensors.torch import load_file
from torchvision.models import get_model, get_model_weights
from torchvision.ops import box_iou

from job.models.load import load_recipe
from job.stages.predict import PredictStage

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("one_thread")]

THRESHOLD = 0.3


@pytest.fixture(scope="module")
def pictures():
    drawn = draw_detection_pictures(60)
    return drawn + make_odd_pictures(drawn, PICTURES - len(drawn))


def one_at_a_time(name, model, names, pictures):
    """As torchvision's documentation says: the weights' transforms, then the model."""
    transforms = get_model_weights(name).DEFAULT.transforms()
    for data in pictures:
        with torch.inference_mode():
            (found,) = model([transforms(open_with_pillow(data))])
        kept = found["scores"] >= THRESHOLD
        yield found["boxes"][kept], [names[index] for index in found["labels"][kept]], found["scores"][kept]


def count_matches(row, boxes, labels, scores):
    """Boxes that are matched one to one: IoU 0.99, the same class, a score within 0.01."""
    if not len(boxes) or not row["boxes"]:
        return 0
    overlaps = box_iou(torch.tensor(row["boxes"]), boxes).numpy()
    free, matches = set(range(len(boxes))), 0
    for index, (label, score) in enumerate(zip(row["labels"], row["scores"], strict=True)):
        fits = [j for j in free if overlaps[index, j] >= 0.99 and labels[j] == label and abs(scores[j] - score) <= 0.01]
        if fits:
            free.remove(max(fits, key=lambda j: overlaps[index, j]))
            matches += 1
    return matches


def assert_agree(make_model, spec, pictures, at_least):
    stage = PredictStage(spec, 8, "cpu", 1, load_recipe(spec))
    rows = list(predict(stage, pictures, block=40))
    names = stage._predictor.labels
    expected = list(one_at_a_time(spec.name, make_model(len(names)), names, pictures))
    matches = sum(count_matches(row, *found) for row, found in zip(rows, expected, strict=True))
    boxes = [sum(len(row["boxes"]) for row in rows), sum(len(found[0]) for found in expected)]
    assert min(boxes) >= at_least
    assert matches >= 0.995 * max(boxes)


@pytest.mark.slow
def test_the_demos_detector_finds_the_same_boxes(pictures):
    name, weights = "ssdlite320_mobilenet_v3_large", WEIGHTS / "ssdlite320_mobilenet_v3_large.safetensors"

    def make_model(classes):
        model = get_model(name, weights=None, weights_backbone=None, num_classes=classes).eval()
        model.load_state_dict(load_file(weights))
        return model

    labels = str(WEIGHTS / "detector-labels.json")
    spec = make_model_spec(name=name, task="detect", weights=str(weights), labels=labels, score_threshold=THRESHOLD)
    assert_agree(make_model, spec, pictures, at_least=PICTURES)


@pytest.mark.slow
def test_a_detector_that_resizes_and_pads_finds_the_same_boxes(pictures, tmp_path):
    # Random weights, whose boxes lie anywhere: every one of them must come out of a mixed batch as it does alone.
    name, weights = "fasterrcnn_mobilenet_v3_large_320_fpn", str(tmp_path / "net.pth")
    torch.manual_seed(0)
    model = get_model(name, weights=None, weights_backbone=None, num_classes=3).eval()
    torch.save(model.state_dict(), weights)
    mixed = pictures[:6] + pictures[-6:]
    assert len({open_with_pillow(data).size for data in mixed}) >= 8
    spec = make_model_spec(name=name, task="detect", weights=weights, score_threshold=THRESHOLD)
    assert_agree(lambda classes: model, spec, mixed, at_least=100)
