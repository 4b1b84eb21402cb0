"""Ours against the plain pipelines for classification, float32, same weights, pictures of all kinds."""

import numpy as np
import pytest
import torch
import transformers
from models import make_model_spec
from parity import PICTURES, WEIGHTS, draw_pictures, make_odd_pictures, open_with_pillow, predict
from safetensors.torch import load_file
from torchvision.models import ShuffleNet_V2_X0_5_Weights, shufflenet_v2_x0_5
from torchvision.transforms import ToTensor

from job.models.load import load_recipe
from job.stages.predict import PredictStage

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def pictures():
    drawn = draw_pictures(PICTURES * 3 // 10)
    return drawn + make_odd_pictures(drawn, PICTURES - len(drawn))


def assert_agree(rows, labels, scores):
    assert len(rows) == len(labels) == PICTURES
    agree = np.array([row["label"] == label for row, label in zip(rows, labels, strict=True)])
    apart = np.abs(np.array([row["score"] for row in rows]) - np.array(scores))
    assert agree.mean() >= 0.999
    assert apart[agree].max() <= 0.01
    # Same answers are worth something only where there are different ones to give.
    assert len(set(labels)) >= 8
    assert np.median(scores) > 0.5


def test_pillow_totensor_and_the_weights_transforms_agree(pictures):
    labels_uri = WEIGHTS / "labels.json"
    weights = WEIGHTS / "shufflenet_v2_x0_5.safetensors"
    spec = make_model_spec(weights=str(weights), labels=str(labels_uri))
    stage = PredictStage(spec, 64, "cpu", 1, load_recipe(spec))
    names = stage._predictor.labels
    model = shufflenet_v2_x0_5(num_classes=len(names)).eval()
    model.load_state_dict(load_file(weights))
    to_tensor, transforms = ToTensor(), ShuffleNet_V2_X0_5_Weights.DEFAULT.transforms()
    scores = []
    with torch.inference_mode():
        for start in range(0, len(pictures), 40):
            inputs = [transforms(to_tensor(open_with_pillow(data))) for data in pictures[start : start + 40]]
            scores.append(model(torch.stack(inputs)).softmax(1))
    best = torch.cat(scores).max(1)
    rows = list(predict(stage, pictures))
    assert_agree(rows, [names[index] for index in best.indices], best.values.tolist())


def test_the_hugging_face_pipeline_agrees(pictures):
    folder = str(WEIGHTS / "vit")
    pipeline = transformers.pipeline("image-classification", folder, device="cpu", dtype=torch.float32)
    answers = pipeline([open_with_pillow(data) for data in pictures], top_k=1)
    spec = make_model_spec(kind="transformers", name=folder)
    stage = PredictStage(spec, 64, "cpu", 1, load_recipe(spec))
    rows = list(predict(stage, pictures))
    assert_agree(rows, [answer[0]["label"] for answer in answers], [answer[0]["score"] for answer in answers])
