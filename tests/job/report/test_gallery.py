import io

import numpy as np
import pytest
from PIL import Image

from job.report.gallery import COLOURS, class_colours, thumbnail, to_item
from job.report.sampled_rows import Box, SampledRow


@pytest.mark.parametrize(("height", "width"), [(300, 400), (1600, 900), (20, 30), (1, 5000), (320, 320)])
def test_a_thumbnail_is_small_and_keeps_the_proportions(height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 255, (2, 2, 3)), np.ones((1 + height // 2, 1 + width // 2, 1)))[:height, :width]
    data = thumbnail(image.astype(np.uint8))
    with Image.open(io.BytesIO(data)) as small:
        assert small.format == "WEBP"
        assert max(small.size) == min(320, max(height, width))
        assert abs(small.width / small.height - width / height) <= 0.02 * width / height or min(small.size) == 1
    assert len(data) < 20_000


def test_a_box_that_leaves_the_picture_is_drawn_to_its_edge() -> None:
    boxes = (Box(-20, 150, 500, float("nan"), "dog", 0.95), Box(100, 75, 200, 150, "car", 0.91))
    item = to_item(SampledRow(0, 0, "s3://b/a.jpg", 400, 300, boxes=boxes), None, class_colours(["car", "dog"]))
    car, dog = item.outlines
    assert (car.x, car.y, car.width, car.height, car.colour) == (25, 25, 25, 25, COLOURS[0])
    assert (dog.x, dog.y, dog.width, dog.height, dog.colour) == (0, 50, 100, 0, COLOURS[1])
    assert (item.found, item.alt) == ("dog, car", "a.jpg: dog, car")


def test_only_the_best_boxes_carry_their_name() -> None:
    boxes = tuple(Box(0, 0, 9, 9, "dog", 1 - i / 100) for i in range(20))
    item = to_item(SampledRow(0, 0, "a.jpg", 10, 10, boxes=boxes), None, {})
    assert len(item.outlines) == 20
    assert [tag.text for tag in item.tags] == [f"dog {0.95 + i / 100:.2f}" for i in range(6)]
    assert item.found == "20 × dog"


@pytest.mark.parametrize(
    ("width", "height", "share"), [(400, 300, 100), (1600, 300, 100), (300, 400, 56.25), (0, 0, 0)]
)
def test_a_picture_fits_its_plate(width: int, height: int, share: float) -> None:
    assert to_item(SampledRow(0, 0, "a.jpg", width, height), b"x", {}).width == share
