"""Every type of model that transformers classifies and detects with: as its pipeline, or refused with the reason."""

from io import BytesIO

import numpy as np
import pytest
import torch
import transformers
from models import make_decoded, make_model_spec, make_photo
from parity import LIMITS, make_odd_pictures, open_with_pillow
from PIL import Image
from tiny_models import NAMES, model_types, save_configuration, save_tiny

from job.errors import ModelError
from job.models.load import load_recipe
from job.models.transformers_types import refused_types
from job.stages.images import decode
from job.stages.predict import PredictStage

pytestmark = pytest.mark.usefixtures("one_thread")

# Its input is within 1 of 255 of ours, and a random network's choice of queries is overturned by less.
RESIZES_FLOATS = ("rf_detr",)
# Those that `make test` runs: an image processor, a preparation or an output apiece; the others are as one of them.
OFTEN = ("vit", "convnext", "efficientnet", "swin", "pp_lcnet", "detr", "rt_detr", "yolos")
RUN = [
    pytest.param(task, kind, marks=() if kind in OFTEN else pytest.mark.slow)
    for task in ("classify", "detect")
    for kind in model_types(task)
    if kind not in refused_types() and kind != "timm_wrapper"  # test_timm.py
]


@pytest.fixture(scope="module")
def pictures():
    buffer = BytesIO()
    Image.fromarray(make_photo(300, 400)).save(buffer, "JPEG")
    return make_odd_pictures([buffer.getvalue()], 8)


def resized(data, size):
    buffer = BytesIO()
    open_with_pillow(data).resize((size[1], size[0])).save(buffer, "PNG")
    return buffer.getvalue()


def predict(spec, pictures):
    recipe = load_recipe(spec)
    stage = PredictStage(spec, 3, "cpu", 1, recipe)
    return stage(make_decoded(recipe, [decode(data, LIMITS) for data in pictures])).to_pylist()


@pytest.mark.parametrize(("task", "model_type"), RUN)
def test_a_type_answers_as_its_pipeline(task, model_type, pictures, tmp_path):
    save_tiny(task, model_type, tmp_path)
    spec = make_model_spec(kind="transformers", name=str(tmp_path), task=task, score_threshold=0.0)
    name = {"classify": "image-classification", "detect": "object-detection"}[task]
    pipeline = transformers.pipeline(name, str(tmp_path), device="cpu", dtype=torch.float32)
    if model_type in RESIZES_FLOATS:
        pictures = [resized(data, load_recipe(spec).size) for data in pictures]
    for row, data in zip(predict(spec, pictures), pictures, strict=True):
        assert row["error"] is None
        options = {"top_k": 4} if task == "classify" else {"threshold": 0.0}
        # Without what a palette leaves in `info`: some processors take it for the transparency of an RGB image.
        picture = Image.fromarray(np.asarray(open_with_pillow(data)))
        answers = by_hand(pipeline, picture) if model_type == "pp_lcnet" else pipeline(picture, **options)
        (assert_labels_agree if task == "classify" else assert_boxes_agree)(row, answers)


def by_hand(pipeline, picture):
    """The pipeline fails on PP-LCNet, whose logits have another name."""
    with torch.inference_mode():
        outputs = pipeline.model(**pipeline.preprocess(picture)).last_hidden_state.softmax(1)[0]
    answers = [{"label": NAMES[index], "score": score} for index, score in enumerate(outputs.tolist())]
    return sorted(answers, key=lambda each: -each["score"])


def assert_labels_agree(row, answers):
    assert len(row["top_labels"]) == len(NAMES)
    scores = dict(zip(row["top_labels"], row["top_scores"], strict=True))
    assert scores == pytest.approx({each["label"]: each["score"] for each in answers}, abs=1e-4)
    assert row["label"] == answers[0]["label"] or row["score"] == pytest.approx(answers[0]["score"], abs=1e-5)


def assert_boxes_agree(row, answers):
    """Scores of random networks are nearly equal, so their order says nothing."""
    found = list(zip(row["boxes"], row["labels"], row["scores"], strict=True))
    assert len(found) == len(answers) > 0
    for answer in answers:
        wanted = np.array(list(answer["box"].values()))  # cut to whole pixels
        apart = [np.abs(np.trunc(box) - wanted).max() + (label != answer["label"]) * 99 for box, label, _ in found]
        box, label, score = found.pop(int(np.argmin(apart)))
        assert label == answer["label"]
        assert np.abs(np.trunc(box) - wanted).max() <= 1
        assert score == pytest.approx(answer["score"], abs=1e-3)


# Of the newest transformers alone.
NEWER = {"pp_doclayout_v4", "pp_ocrv6_medium_det", "pp_ocrv6_small_det"}
KNOWN = {*model_types("classify"), *model_types("detect")}


@pytest.mark.parametrize("model_type", sorted(refused_types().keys() & KNOWN))
def test_a_type_that_cannot_work_is_refused_before_anything_starts_with_the_reason_of_the_table(model_type, tmp_path):
    task = "classify" if model_type in model_types("classify") else "detect"
    save_configuration(model_type, tmp_path)
    with pytest.raises(ModelError) as raised:
        load_recipe(make_model_spec(kind="transformers", name=str(tmp_path), task=task))
    text = str(raised.value)
    assert refused_types()[model_type] in text
    assert model_type in text
    assert "write a Predictor of kind python" in text
    assert "\n" not in text


def test_every_type_that_is_refused_is_one_of_transformers():
    assert refused_types().keys() <= KNOWN | NEWER
