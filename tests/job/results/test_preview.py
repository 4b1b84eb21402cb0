"""The preview: what a run would do, counted in one pass over the listing, and what an earlier attempt has left."""

import io
from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pytest
from colours import make_image, write_images
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from run_specs import files_below, make_spec

from job.errors import PlanChanged, SourceError
from job.plan.freeze import freeze
from job.plan.plan import run_paths
from job.results import preview as previewing
from job.results.preview import SAMPLE_URIS, Listing, preview
from job.results.run_summary import RunSummary
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.stores.storage import open_folder
from tench.launcher.submit.preview_table import preview_table

COMPUTE = {"batch_size": 8, "concurrency": 3, "cpus_per_replica": 5, "gpus_per_replica": 0}


@pytest.fixture
def spec(tmp_path):
    """25 images, in shards of 10, 10 and 5."""
    write_images(tmp_path / "images", count=25)
    return make_spec(tmp_path, compute=COMPUTE)


class Attempt:
    """What a run has left of itself: a plan and some shards."""

    def __init__(self, spec, run_id=None, shards=()):
        self.paths = run_paths(spec, run_id)
        self.folder = open_folder(self.paths.uri)
        self.plan = freeze(spec, self.paths, self.folder, open_source(spec.source, Limits.of(spec.errors)).list())
        for shard in shards:
            self.folder.create(self.paths.predictions(shard), b"not read")
        self.spec = spec

    def complete(self):
        RunSummary(self.spec, self.plan, self.folder, lambda *_: None).commit(1.0)


def make_tables(cuts, sizes, expected):
    """A listing in tables of these lengths."""
    start = 0
    for length in cuts:
        stop = start + length
        yield pa.table(
            {
                "uri": pa.array([f"{number:03}" for number in range(start, stop)], pa.string()),
                "size": pa.array(sizes[start:stop], pa.int64()),
                "expected": pa.array(expected[start:stop], pa.string()),
            }
        )
        start = stop


def test_a_new_run_is_counted_and_nothing_is_written(spec, tmp_path):
    found = preview(spec, None)
    images = sorted((tmp_path / "images").rglob("*.png"))
    assert (found.images, found.bytes, found.shards) == (25, sum(path.stat().st_size for path in images), 3)
    assert list(found.classes.items()) == [("blue", 9), ("green", 8), ("red", 8)]
    assert found.without_label == 0
    assert (found.replicas, found.cpus, found.gpus_per_replica) == (3, 15, 0)
    assert (found.state, found.frozen_images, found.skipped_shards, found.skipped_images) == ("new", None, 0, 0)
    assert (found.run_id, found.run_uri) == (run_paths(spec).run_id, run_paths(spec).uri)
    assert set(found.sample_uris) <= set(map(str, images))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("shards", "images"), [([], 0), ([1], 10), ([0, 2], 15)])
def test_a_started_run_skips_what_is_committed(spec, shards, images):
    left = files_below(Attempt(spec, shards=shards).paths.uri)
    found = preview(spec, None)
    assert (found.state, found.frozen_images) == ("started", 25)
    assert (found.skipped_shards, found.skipped_images) == (len(shards), images)
    assert files_below(found.run_uri) == left


def test_a_complete_run_is_said_so(spec):
    Attempt(spec, run_id="mine", shards=range(3)).complete()
    found = preview(spec, "mine")
    assert (found.run_id, found.state, found.skipped_images) == ("mine", "complete", 25)
    assert preview(spec, None).state == "new"


def test_a_source_that_has_grown_is_told_from_what_is_frozen(spec, tmp_path):
    Attempt(spec, shards=[2])
    for number in range(6):
        (tmp_path / "images" / "red" / f"new-{number}.png").write_bytes(make_image("red"))
    found = preview(spec, None)
    assert (found.images, found.shards, found.classes["red"]) == (31, 4, 14)
    assert (found.frozen_images, found.skipped_images) == (25, 5)


def test_another_spec_under_a_planned_run_id_is_refused(spec, tmp_path):
    Attempt(spec, run_id="mine")
    with pytest.raises(PlanChanged, match=r"output\.rows_per_file: 10 → 7"):
        preview(make_spec(tmp_path, rows_per_file=7), "mine")


def test_a_source_without_images_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(SourceError, match="there is nothing at"):
        preview(make_spec(tmp_path), None)


@given(cuts=st.lists(st.integers(0, 60), max_size=12))
def test_sample_uris_are_spread_over_the_listing_however_it_is_cut(cuts):
    images = sum(cuts)
    found = Listing(make_tables(cuts, [1] * images, [None] * images)).sample_uris
    assert found == Listing(make_tables([images], [1] * images, [None] * images)).sample_uris
    places = [int(uri) for uri in found]
    assert len(places) == min(SAMPLE_URIS, images)
    assert places[:1] == [0][:images]
    gaps = [after - before for before, after in pairwise([*places, images])]
    assert all(1 <= gap <= max(1, 0.4 * images) for gap in gaps)


@given(
    cuts=st.lists(st.integers(0, 12), max_size=5),
    sizes=st.lists(st.integers(0, 10**12), min_size=60, max_size=60),
    unknown=st.none() | st.integers(0, 59),
    expected=st.lists(st.none() | st.sampled_from("abcde"), min_size=60, max_size=60),
    most=st.integers(1, 6),
)
def test_a_listing_is_added_up_in_tables_of_any_length(cuts, sizes, unknown, expected, most):
    images = sum(cuts)
    if unknown is not None:
        sizes[unknown] = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(previewing, "MAX_CLASSES", most)
        found = Listing(make_tables(cuts, sizes, expected))
    listed = expected[:images]
    first = list(dict.fromkeys(name for name in listed if name))[:most]
    assert found.images == images
    assert found.bytes == (None if None in sizes[:images] else sum(sizes[:images]))
    assert found.without_label == listed.count(None)
    assert found.classes == Counter(name for name in listed if name in first)


def endless_listing(started):
    while True:
        started.append(1)
        yield from make_tables([10], [1] * 10, [None] * 10)


def test_of_a_source_that_takes_long_what_came_in_time_is_shown_and_said_to_be_a_sample():
    found = Listing(endless_listing([]), seconds=0.05)
    assert found.is_sample
    assert found.images % 10 == 0 < found.images
    assert not Listing(make_tables([10], [1] * 10, [None] * 10), seconds=0).is_sample


def test_a_preview_of_a_part_says_so(spec, monkeypatch):
    monkeypatch.setattr("job.results.preview.LISTING_S", 0.05)
    monkeypatch.setattr("job.sources.source.Source.list", lambda *_: endless_listing([]))
    found = preview(spec, None)
    assert found.is_sample
    table = Console(record=True, width=200, file=io.StringIO())
    table.print(preview_table(found))
    text = table.export_text()
    assert f"more than {found.images:,} (listed for" in text
    assert f"more than {found.shards:,}" in text
