"""Images without a label, where labels were asked for: counted over all of a listing, and the first is named."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import rows_of

from job.sources.open_source import open_source
from job.sources.unlabelled import Unlabelled
from job.spec.limits import Limits
from job.spec.spec import FilesSource


@given(tables=st.lists(st.lists(st.none() | st.sampled_from(["a", ""]), max_size=5), max_size=5))
def test_tables_of_any_length_are_added_up(tables):
    found = Unlabelled()
    uris = []
    for labels in tables:
        some = [f"{len(uris) + number}" for number in range(len(labels))]
        uris += some
        found.add(pa.table({"uri": pa.array(some, pa.string()), "expected": pa.array(labels, pa.string())}))

    labels = [label for table in tables for label in table]
    assert found.images == labels.count(None)
    assert found.first == (uris[labels.index(None)] if None in labels else None)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"label_from": "directory"},
            "2 of 3 images have no label from source.label_from: directory; the first is ROOT/a.jpg",
        ),
        (
            {"label_from": "directory", "limit": 1},
            "1 of 1 image has no label from source.label_from: directory; the first is ROOT/a",
        ),
        ({"label_from": "none"}, None),
    ],
)
def test_a_source_warns_of_them_where_labels_are_asked_for(tmp_path, caplog, spec, words):
    (tmp_path / "b").mkdir()
    for name in ("a.jpg", "b/1.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"x")

    rows_of(open_source(FilesSource(uri=str(tmp_path), **spec), Limits(10**9, 10**6)))

    said = [record.getMessage().replace(str(tmp_path), "ROOT") for record in caplog.records]
    assert [each[: len(words)] for each in said] == [words] if words else not said
