"""What a plan leaves out is counted, in the plan, in `_SUCCESS`, in the preview, on the terminal and on the page."""

import json
import logging
from pathlib import Path

import pyarrow as pa
from colours import write_images
from run_specs import make_spec, run_here

from job.plan.records import LeftOut, load_plan
from job.results.preview import preview
from job.sources.left_out import MAX_KINDS, LeftOutCounts, by_suffix
from job.stores.storage import open_folder


def test_every_place_where_a_run_is_described_says_what_was_left_out(tmp_path, caplog):
    write_images(tmp_path / "images", 12)
    for name in ("notes.txt", "more.TXT", "red/LICENSE"):
        (tmp_path / "images" / name).write_text("no image")
    spec = make_spec(tmp_path)
    wanted = [
        LeftOut(kind="names that end with .txt", count=2, example="more.TXT"),
        LeftOut(kind="names without a suffix", count=1, example="red/LICENSE"),
    ]
    assert preview(spec, None).left_out == wanted
    with caplog.at_level(logging.WARNING):
        result = run_here(spec)
    words = "names that end with .txt (2), names without a suffix (1)"
    assert f"left out of the source: {words}" in caplog.text
    assert f"left out of the source: {words}" in result.summary()
    assert [*load_plan(open_folder(result.uri)).left_out] == [*result.success.left_out] == wanted
    assert "names that end with .txt: 2, as more.TXT" in Path(result.uri, "report.html").read_text()
    # A run of before has no such key.
    plan = json.loads(Path(result.uri, "plan.json").read_text())
    del plan["left_out"]
    Path(result.uri, "plan.json").write_text(json.dumps(plan))
    assert load_plan(open_folder(result.uri)).left_out == ()


def test_kinds_are_counted_with_their_first_example_and_bounded():
    counts = LeftOutCounts()
    counts.add("hidden names", 0, ".never")
    for number in range(MAX_KINDS + 5):
        counts.add(f"kind {number}", number + 1, f"first of {number}")
        counts.add(f"kind {number}", 1, "not the first")
    found = counts.records()
    assert sum(each.count for each in found) == sum(number + 2 for number in range(MAX_KINDS + 5))
    assert len(found) == MAX_KINDS + 1
    assert (found[0].kind, found[0].example) == ("of other kinds", f"first of {MAX_KINDS}")
    assert found[-1] == LeftOut(kind="kind 0", count=2, example="first of 0")


def test_suffixes_are_those_that_a_person_would_name():
    keys = ["a.txt", "b/c.TXT", "d", ".hidden", "e.f/g", "one.dot and a sentence behind it", "x\n.json", "y.tar.gz"]
    found = by_suffix(pa.chunked_array([keys]))
    assert found == {
        "names that end with .txt": (2, "a.txt"),
        "names without a suffix": (4, "d"),
        "names that end with .json": (1, "x\n.json"),
        "names that end with .gz": (1, "y.tar.gz"),
    }
    assert by_suffix(pa.chunked_array([[]], pa.string())) == {}
