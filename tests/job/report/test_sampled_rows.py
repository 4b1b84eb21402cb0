import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from job.report.sampled_rows import MAX_BOXES, Shortlist, row_hashes, to_sampled_row

ROWS = 50


@given(
    ranks=st.lists(st.integers(0, 5) | st.just(float("nan")), max_size=60),
    size=st.integers(0, 8),
    cut=st.integers(0, 60),
)
def test_a_shortlist_is_the_head_of_the_sorted_stream(ranks: list[float], size: int, cut: int) -> None:
    shortlist = Shortlist(size)
    rank, tie = np.array(ranks, dtype=np.float64), row_hashes("run", 0, len(ranks))
    rows = pa.table({"row": pa.array(range(len(ranks)), pa.int64())})
    for part in (slice(0, cut), slice(cut, None)):
        shortlist.offer(rows.slice(*part.indices(len(ranks))[:1], len(ranks[part])), rank[part], tie[part])
    wanted = sorted((row for row in range(len(ranks)) if rank[row] == rank[row]), key=lambda row: (rank[row], tie[row]))
    assert [row["row"] for row in shortlist.rows()] == wanted[:size]


def test_row_hashes_draw_evenly_from_all_shards_and_places() -> None:
    drawn = np.zeros((2, ROWS))
    for run in range(400):
        hashes = np.stack([row_hashes(f"run-{run}", shard, ROWS) for shard in (0, 1)])
        drawn.reshape(-1)[np.argsort(hashes, axis=None)[:10]] += 1
    assert drawn.sum() == 4000
    assert abs(drawn[0].sum() - 2000) < 150  # standard deviation about 30
    assert drawn.min() > 15  # 40 expected of each, standard deviation about 6
    assert drawn.max() < 70


def test_an_image_keeps_its_best_boxes() -> None:
    scores = [i / 1000 for i in range(300)]
    row = {"shard": 0, "row": 3, "uri": "a.jpg", "width": 4, "height": 3}
    sample = to_sampled_row(row | {"boxes": [[0, 0, 1, 1]] * 300, "labels": ["dog"] * 300, "scores": scores})
    assert [box.score for box in sample.boxes] == sorted(scores, reverse=True)[:MAX_BOXES]
    assert sample.key == (0, 3)
