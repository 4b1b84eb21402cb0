"""Pictures of a chunk: which rows share one, and a crop that leaves its picture free."""

import numpy as np
import pyarrow as pa
import pytest

from job.errors import ImageError
from job.stages.pictures import cut, pictures_of

PIXELS = np.arange(5 * 8 * 3, dtype=np.uint8).reshape(5, 8, 3)


@pytest.mark.parametrize("xywh", [(0, 0, 8, 5), (0, 1, 8, 2), (3, 2, 1, 3)])
def test_a_crop_does_not_keep_its_picture_in_memory(xywh):
    left, top, width, height = xywh
    found = cut(PIXELS, xywh)
    np.testing.assert_array_equal(found, PIXELS[top : top + height, left : left + width])
    assert found.base is None
    assert found.flags.c_contiguous


@pytest.mark.parametrize("xywh", [(0, 0, 9, 5), (7, 0, 2, 1), (8, 0, 1, 1), (0, 5, 1, 1)])
def test_a_box_that_the_picture_does_not_have_is_an_error(xywh):
    with pytest.raises(ImageError, match=r"^changed: the image is 8x5, and a box of"):
        cut(PIXELS, xywh)


@pytest.mark.parametrize(
    ("share", "expected"), [(True, [[0, 1], [2], [3], [4], [5]]), (False, [[n] for n in range(6)])]
)
def test_neighbouring_crops_of_one_image_share_it(share, expected):
    """The same name at another offset, of another version or turned another way is another image."""
    rows = pa.table(
        {
            "uri": [f"{name}#xywh=0,0,{n + 1},1" for n, name in enumerate("aaaabb")],
            "etag": ["1", "1", "1", "1", "1", "2"],
            "offset": pa.array([None, None, 7, 7, 7, 7], pa.int64()),
            "crop_xywh": pa.array([[0, 0, n + 1, 1] for n in range(6)], pa.list_(pa.int32(), 4)),
            "crop_orientation": ["keep", "keep", "keep", "apply", "apply", "apply"],
        }
    )
    asked = []

    def read(wanted):
        asked.extend(wanted["uri"].to_pylist())
        yield from [bytes] * wanted.num_rows

    found = list(pictures_of(rows, read, share))
    assert [list(picture.rows) for picture in found] == expected
    assert asked == [rows["uri"][each[0]].as_py() for each in expected]
    assert [picture.orientation for picture in found] == [
        rows["crop_orientation"][each[0]].as_py() for each in expected
    ]
    assert found[0].copied_bytes([0, 1]) == 3 * 2
