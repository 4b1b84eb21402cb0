"""The predict stage: rows in their order, failed ones null, whatever the batches, chunks and slices."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import torch
from models import make_decoded, make_model_spec, make_photo

from job.errors import ModelError, RunFailed
from job.models.load import load_recipe
from job.models.predictor import Detection
from job.recipe import Exactly, Recipe
from job.stages.predict import PredictStage, _batches_of_pixels, prediction_fields

LABELS = ("blue", "green", "red")


class Colours:
    """Of each image the share of every colour."""

    recipe = Recipe(Exactly(8, 8))
    labels = LABELS

    def __init__(self, spec, device):
        self.sizes = []
        self.scale = 1.0

    def predict(self, images):
        assert images.dtype == torch.uint8
        self.sizes.append(len(images))
        means = images.float().mean((1, 2)).flip(1)
        return means / means.sum(1, keepdim=True) * self.scale


class Corners:
    """Finds a box in every image: all of it, and its upper left quarter; as many more as the image is dark."""

    recipe = Recipe()
    labels = LABELS

    def __init__(self, spec, device):
        self.seen = []

    def predict(self, images, sizes):
        self.seen.append([tuple(image.shape) for image in images])
        return [self.find(*size, int(image[0, 0, 0])) for image, size in zip(images, sizes, strict=True)]

    def find(self, height, width, count):
        boxes = torch.tensor([[0, 0, width / 2, height / 2], [0, 0, width, height]])
        return Detection(boxes[:count], torch.tensor([2, 0])[:count], torch.tensor([0.25, 0.75])[:count])


class Confused(Colours):
    def predict(self, images):
        return super().predict(images)[:, :2]


class Broken(Colours):
    def predict(self, images):
        return super().predict(images) * float("nan")


class Logits(Colours):
    def predict(self, images):
        return super().predict(images) * 8 - 4


class Crashing(Colours):
    def predict(self, images):
        return self.no_such_network(images)


class Liar(Corners):
    def find(self, height, width, count):
        return super().find(height, width, count)._replace(labels=torch.tensor([7, 0])[:count])


class Short(Corners):
    def predict(self, images, sizes):
        return super().predict(images, sizes)[1:]


def make_stage(factory, batch_size=4, **fields):
    task = "detect" if issubclass(factory, Corners) else "classify"
    spec = make_model_spec(kind="python", name=f"{__name__}:{factory.__name__}", task=task, **fields)
    return PredictStage(spec, batch_size, "cpu", 1, load_recipe(spec))


def pictures(count, failed=()):
    return [None if index in failed else make_photo(10 + index, 30 - index, index) for index in range(count)]


def expected_scores(picture):
    means = Colours.recipe.apply(picture).astype(np.float32).mean((0, 1))[::-1]
    return means / means.sum()


def test_the_columns_are_those_of_the_contract():
    rows = make_stage(Colours)(make_decoded(Colours.recipe, pictures(3)))
    assert rows.schema.names[:6] == ["shard", "row", "error", "width", "height", "image_notes"]
    assert list(rows.schema)[6:] == prediction_fields("classify")
    rows = make_stage(Corners)(make_decoded(Corners.recipe, pictures(3)))
    assert list(rows.schema)[6:] == prediction_fields("detect")


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])
@pytest.mark.parametrize("failed", [(), (0,), (9,), (3, 4, 5), (0, 2, 4, 6, 8), range(10)])
def test_every_row_has_its_own_prediction_and_a_failed_one_none(batch_size, failed):
    images = pictures(10, failed)
    rows = make_stage(Colours, batch_size)(make_decoded(Colours.recipe, images)).to_pylist()
    assert [row["row"] for row in rows] == list(range(10))
    for row, image in zip(rows, images, strict=True):
        if image is None:
            assert row["error"] == "truncated: half of it"
            assert [row[field.name] for field in prediction_fields("classify")] == [None] * 6
            continue
        scores = expected_scores(image)
        order = np.argsort(-scores)
        assert (row["error"], row["height"], row["width"]) == (None, *image.shape[:2])
        assert row["label_index"] == order[0]
        assert row["label"] == LABELS[order[0]]
        assert row["score"] == pytest.approx(scores[order[0]], rel=1e-5)
        assert row["top_indices"] == order.tolist()
        assert row["top_labels"] == [LABELS[index] for index in order]
        assert row["top_scores"] == pytest.approx(scores[order], rel=1e-5)


def test_batches_hold_no_failed_image_and_are_full():
    stage = make_stage(Colours, batch_size=4)
    stage(make_decoded(Colours.recipe, pictures(12, failed=(1, 5, 6))))
    assert stage._predictor.sizes == [4, 4, 1]


@pytest.mark.parametrize("recipe", [Colours.recipe, Corners.recipe])
def test_slices_and_chunks_of_a_table_are_read_where_they_are(recipe):
    stage = make_stage(Colours if recipe.size else Corners, score_threshold=0.5)
    decoded = make_decoded(recipe, pictures(12, failed=(5,)))
    whole = stage(decoded)
    assert stage(decoded.slice(4, 5)).equals(whole.slice(4, 5))
    chunked = pa.concat_tables([decoded.slice(0, 3), decoded.slice(3, 6), decoded.slice(9)])
    assert stage(chunked).combine_chunks().equals(whole)
    assert stage(decoded.slice(0, 0)).num_rows == 0


def test_pixels_are_not_copied_on_their_way_to_the_model():
    stage = make_stage(Colours)
    decoded = make_decoded(Colours.recipe, pictures(4))
    addresses = []
    predict = stage._predictor.predict
    stage._predictor.predict = lambda images: addresses.append(images.data_ptr()) or predict(images)
    stage(decoded)
    assert addresses == [decoded["image"].chunk(0).buffers()[2].address]


@pytest.mark.parametrize("top_k", [1, 2, 9])
def test_top_k_is_at_most_the_number_of_classes(top_k):
    rows = make_stage(Colours, top_k=top_k)(make_decoded(Colours.recipe, pictures(2)))
    assert [len(labels) for labels in rows["top_labels"].to_pylist()] == [min(top_k, 3)] * 2


def test_boxes_are_sorted_and_those_below_the_threshold_dropped():
    images = [np.full((20, 40, 3), count, np.uint8) for count in (2, 0, 1)]
    decoded = make_decoded(Corners.recipe, [images[0], None, images[1], images[2]])
    rows = make_stage(Corners, batch_size=2, score_threshold=0.25)(decoded).to_pylist()
    assert rows[0]["boxes"] == [[0, 0, 40, 20], [0, 0, 20, 10]]
    assert rows[0]["labels"] == ["blue", "red"]
    assert rows[0]["label_indices"] == [Corners.labels.index("blue"), Corners.labels.index("red")]
    assert rows[0]["scores"] == [0.75, 0.25]
    assert (rows[1]["boxes"], rows[1]["labels"], rows[1]["scores"]) == (None, None, None)
    assert (rows[2]["boxes"], rows[2]["labels"], rows[2]["scores"]) == ([], [], [])
    assert rows[3]["boxes"] == [[0, 0, 20, 10]]
    rows = make_stage(Corners, score_threshold=0.5)(decoded).to_pylist()
    assert [row["labels"] for row in rows] == [["blue"], None, [], []]


def test_a_chunk_in_which_everything_failed_has_only_errors():
    for factory in (Colours, Corners):
        rows = make_stage(factory)(make_decoded(factory.recipe, [None, None]))
        assert rows["error"].null_count == 0
        assert rows.columns[-1].null_count == 2


def test_a_detector_sees_images_of_their_own_sizes():
    stage = make_stage(Corners, batch_size=2)
    stage(make_decoded(Corners.recipe, pictures(3)))
    assert stage._predictor.seen == [[(10, 30, 3), (11, 29, 3)], [(12, 28, 3)]]


def test_a_compiled_networks_last_batch_is_filled():
    decoded = make_decoded(Colours.recipe, pictures(7, failed=(2,)))
    compiled = make_stage(Colours, compile=True)
    assert compiled(decoded).equals(make_stage(Colours)(decoded))
    assert compiled._predictor.sizes == [4, 4]


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        (Confused, r"predict gave torch.Size\(\[2, 2\]\); a tensor \(2, 3\) of probabilities is wanted"),
        (Broken, "gave scores that are not numbers; try model.precision: float32"),
        (Liar, "predict gave label 7; there are 3"),
        (
            Logits,
            r"predict gave scores from .* for row 0 of shard 3, and probabilities are wanted; return logits.softmax",
        ),
        (Crashing, r"predict raised AttributeError: .*no_such_network"),
        (Short, "predict gave 1 detections for 2 images"),
    ],
)
def test_a_model_that_answers_wrongly_fails_the_run_with_its_name(factory, text):
    with pytest.raises(RunFailed, match=f"{factory.__name__}.*{text}"):
        make_stage(factory)(make_decoded(factory.recipe, [np.full((9, 9, 3), 2, np.uint8)] * 2))


def test_logits_are_named_by_the_first_row_that_has_them():
    dark = np.zeros((9, 9, 3), np.uint8)
    stage = make_stage(Colours)
    stage._predictor.predict = lambda images: torch.stack([torch.tensor([0.2, 0.8, 0.0]), torch.tensor([8.1, -2, 0])])
    with pytest.raises(RunFailed, match=r"scores from -2 to 8\.1 for row 2 of shard 3"):
        stage(make_decoded(Colours.recipe, [dark, None, dark]))


def test_independent_probabilities_need_not_add_up():
    stage = make_stage(Colours)
    stage._predictor.predict = lambda images: torch.tensor([[0.9, 1.004, 0.0]])
    rows = stage(make_decoded(Colours.recipe, pictures(1))).to_pylist()
    assert rows[0]["label"] == "green"


def test_a_model_that_raises_is_shown_by_its_own_two_lines():
    with pytest.raises(RunFailed) as raised:
        make_stage(Crashing)(make_decoded(Colours.recipe, pictures(1)))
    first, place, line = str(raised.value).split("\n")
    assert "AttributeError" in first
    assert place == f'  File "{__file__}", line {Crashing.predict.__code__.co_firstlineno + 1}, in predict'
    assert line == "    return self.no_such_network(images)"


def run_out_above(room, predict):
    """The model's `predict`, on a device that has memory for so many images."""

    def predict_or_run_out(images, *sizes):
        if len(images) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predict(images, *sizes)

    return predict_or_run_out


@pytest.mark.parametrize("room", [1, 2, 3])
@pytest.mark.parametrize(("model", "options"), [(Colours, {}), (Colours, {"compile": True}), (Corners, {})])
def test_memory_that_runs_out_costs_no_row_and_changes_none(model, options, room):
    decoded = make_decoded(model.recipe, pictures(9))
    expected = make_stage(model, **options)(decoded)
    stage = make_stage(model, **options)
    assert stage.memory_note == ""
    stage._predictor.predict = run_out_above(room, stage._predictor.predict)
    assert stage(decoded).equals(expected)
    assert stage.memory_note.endswith(f"(batches of {1 if room == 1 else 2} images of 4)")


def test_memory_that_does_not_suffice_for_one_image_says_so():
    stage = make_stage(Colours)

    def predict(images):
        raise torch.OutOfMemoryError("CUDA out of memory")

    stage._predictor.predict = predict
    with pytest.raises(RunFailed, match=r"more than the memory of cpu for one image; take a GPU that has more"):
        stage(make_decoded(Colours.recipe, pictures(2)))


def test_the_stage_says_in_which_precision_it_computes():
    spec = make_model_spec(weights="none")
    assert PredictStage(spec, 4, "cpu", 1, load_recipe(spec)).precision == "float32"
    assert make_stage(Colours).precision == "its own"


class Doubtful(Colours):
    """Its factory's recipe is read by the driver, and this one is its own."""

    def __init__(self, spec, device):
        self.recipe = Recipe(Exactly(4, 4))


def test_a_predictor_whose_recipe_is_not_the_one_images_are_decoded_by_is_refused():
    with pytest.raises(ModelError) as caught:
        make_stage(Doubtful)
    assert "Exactly(height=4, width=4)" in str(caught.value)
    assert str(Colours.recipe.resize) in str(caught.value)
    assert "give the factory and what it makes the same recipe" in str(caught.value)


def test_pixels_of_another_size_than_the_recipe_s_are_refused():
    stage = make_stage(Colours)
    smaller = dataclasses.replace(Colours.recipe, resize=Exactly(4, 4))
    with pytest.raises(RunFailed, match=r"2 images .* report this"):
        stage(make_decoded(smaller, pictures(2)))


def test_torch_says_nothing_of_memory_that_is_not_writable(recwarn):
    torch.set_warn_always(True)
    try:
        make_stage(Colours)(make_decoded(Colours.recipe, pictures(2)))
    finally:
        torch.set_warn_always(False)
    assert not [warning for warning in recwarn if "writable" in str(warning.message)]


def test_large_images_share_a_batch_by_their_pixels(monkeypatch):
    """In order, with the answers of one batch; one that is larger than a batch may be comes alone."""
    monkeypatch.setattr("job.stages.predict.BATCH_PIXELS", 250)
    pixels = [100, 100, 100, 900, 50, 50, 50, 50]
    failed = np.array([False, True, *[False] * 6])
    assert list(_batches_of_pixels(failed, 64, pixels)) == [[0, 2], [3], [4, 5, 6, 7]]
    assert list(_batches_of_pixels(failed, 3, pixels)) == [[0, 2], [3], [4, 5, 6], [7]]
    assert list(_batches_of_pixels(~(failed & False), 3, pixels)) == []
