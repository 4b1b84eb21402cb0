"""The chain of parts: whoever freezes which of them, and whenever one dies, every image is in the plan once."""

import itertools
import threading

import pyarrow as pa
import pytest
from builders import make_spec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from job.errors import OutputError, PlanChanged, SourceError
from job.plan import freeze as freezing
from job.plan.freeze import Freezer
from job.plan.manifest import Manifest
from job.plan.parts import load_chain
from job.plan.plan import run_paths
from job.plan.records import load_plan
from job.stores.local_folder import LocalFolder
from job.stores.storage import open_folder


class Killed(BaseException):
    """As SIGKILL: nothing runs after it."""


class Dying(LocalFolder):
    """Its process is killed before or after the write of a given number, counted from 0."""

    def __init__(self, path, write, after):
        super().__init__(path)
        self._left, self._after = write, after

    def create(self, key, data):
        if self._left == 0 and not self._after:
            raise Killed
        etag = super().create(key, data)
        if self._left == 0:
            raise Killed
        self._left -= 1
        return etag


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(freezing, "FIRST_PART_ROWS", 20)
    monkeypatch.setattr(freezing, "PART_ROWS", 40)


def listing(uris, step=7):
    for start in range(0, len(uris), step):
        some = uris[start : start + step]
        nothing = pa.nulls(len(some), pa.string())
        yield pa.table({"uri": some, "size": pa.repeat(1, len(some)), "etag": nothing, "expected": nothing})


def names(numbers):
    return [f"s3://b/{number:06d}.jpg" for number in numbers]


def freezer(tmp_path, uris, folder=None, ascends=True, limit=None):
    spec = make_spec(output=str(tmp_path))
    spec = spec.model_copy(update={"source": spec.source.model_copy(update={"limit": limit})})
    paths = run_paths(spec, "mine")
    folder = folder or open_folder(paths.uri)
    return Freezer(spec, paths, folder, listing(uris), ascends=ascends, chain=load_chain(folder, paths))


def to_end(planner):
    while not planner.is_done:
        planner.freeze_part()
    return planner.close()


def rows_of(tmp_path, plan):
    manifest = Manifest(run_paths(make_spec(output=str(tmp_path)), "mine"), plan.parts)
    tables = [manifest.rows(shard) for shard in range(plan.shards)]
    for shard, table in enumerate(tables):
        assert table["shard"].unique().to_pylist() == [shard]
        assert table["row"].to_pylist() == list(range(plan.shard_rows(shard)))
        assert table.schema.metadata is None
    return [uri for table in tables for uri in table["uri"].to_pylist()]


@pytest.mark.parametrize("ascends", [True, False])
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("write", range(6))
def test_a_planner_that_dies_at_any_write_is_gone_on_with(tmp_path, write, after, ascends):
    uris = names(range(173))
    with pytest.raises(Killed):
        to_end(freezer(tmp_path, uris, Dying(str(tmp_path / "mine"), write, after), ascends))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("mine/manifest/*")}
    plan = to_end(freezer(tmp_path, uris, ascends=ascends))
    assert (plan.images, plan.bytes, rows_of(tmp_path, plan)) == (173, 173, uris)
    assert plan.is_listed
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert load_plan(open_folder(str(tmp_path / "mine"))) == plan


@given(
    st.lists(st.integers(0, 400), min_size=1, unique=True).map(sorted),
    st.lists(st.sets(st.integers(0, 400), max_size=60), min_size=1, max_size=3),
    st.lists(st.integers(0, 5), min_size=3, max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_a_bucket_that_changes_while_planners_die_gives_each_key_once(tmp_path_factory, there, changes, deaths):
    tmp_path = tmp_path_factory.mktemp("run")
    keys = set(there)
    for change, death in zip(changes, deaths, strict=False):
        planner = freezer(tmp_path, names(sorted(keys)))
        for _ in range(death):
            if not planner.is_done:
                planner.freeze_part()
        keys = (keys ^ change) or {0}
    chain = load_chain(open_folder(str(tmp_path / "mine")), run_paths(make_spec(output=str(tmp_path)), "mine"))
    frozen = rows_of(tmp_path, chain.so_far()) if chain else []
    is_whole = chain is not None and chain.head.is_last
    behind = [] if is_whole else [uri for uri in names(sorted(keys)) if not frozen or uri > frozen[-1]]
    plan = to_end(freezer(tmp_path, names(sorted(keys))))
    assert rows_of(tmp_path, plan) == frozen + behind
    assert plan.images == len(frozen + behind)


@given(st.integers(1, 200), st.lists(st.booleans(), max_size=12), st.booleans(), st.booleans())
@example(images=1, turns=[True, False], ascends=False, other_grew=True)
@settings(max_examples=60, deadline=None)
def test_two_planners_at_once_freeze_one_chain_of_the_source(tmp_path_factory, images, turns, ascends, other_grew):
    tmp_path = tmp_path_factory.mktemp("run")
    uris = names(range(images))
    theirs = [*uris, *names(range(images, images + 30))] if other_grew else uris
    planners = [freezer(tmp_path, uris, ascends=ascends), freezer(tmp_path, theirs, ascends=ascends)]
    plans = []
    for planner, freeze_some in [
        *((planners[turn], Freezer.freeze_part) for turn in turns),
        *((planner, to_end) for planner in planners),
    ]:
        try:
            if freeze_some is to_end or not planner.is_done:
                plans.append(freeze_some(planner))
        except SourceError:
            assert other_grew
            assert not ascends
    plans = [plan for plan in plans if plan]
    assert len(plans) >= 1
    assert all(plan == plans[0] for plan in plans)
    assert rows_of(tmp_path, plans[0]) == theirs[: plans[0].images]
    assert plans[0].images >= images


def test_many_planners_in_threads_end_with_one_plan(tmp_path):
    uris = names(range(300))
    plans = []
    threads = [threading.Thread(target=lambda: plans.append(to_end(freezer(tmp_path, uris)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(plans) == 4
    assert all(plan == plans[0] for plan in plans)
    assert rows_of(tmp_path, plans[0]) == uris


@pytest.mark.parametrize("limit", [15, 20, 50, 95])
@pytest.mark.parametrize("parts", [0, 1, 2])
def test_a_limit_counts_what_is_frozen(tmp_path, limit, parts):
    planner = freezer(tmp_path, names(range(limit)), limit=limit)
    for _ in range(parts):
        if not planner.is_done:
            planner.freeze_part()
    before = {uri for part in [planner.chain] if part for uri in rows_of(tmp_path, part.so_far())}
    plan = to_end(freezer(tmp_path, [*names(range(0, 2 * limit, 2))], limit=limit))
    uris = rows_of(tmp_path, plan)
    assert len(uris) == len(set(uris)) <= limit
    assert before <= set(uris)


def test_a_list_that_changed_before_the_frozen_rows_end_is_refused_and_behind_them_is_not(tmp_path):
    planner = freezer(tmp_path, names(range(100)), ascends=False)
    planner.freeze_part()
    with pytest.raises(SourceError, match=r"row 3 of shard 1 was 's3://b/000013\.jpg', and is 's3://b/000113\.jpg'"):
        freezer(tmp_path, names([*range(13), 113, *range(14, 100)]), ascends=False).freeze_part()
    with pytest.raises(SourceError, match=r"row 5 of shard 1 was 's3://b/000015\.jpg', and is not there"):
        freezer(tmp_path, names(range(15)), ascends=False).freeze_part()
    mended = names([*range(50), 150, *range(51, 100)])
    assert rows_of(tmp_path, to_end(freezer(tmp_path, mended, ascends=False))) == mended


def test_what_was_frozen_is_a_plan_that_is_still_open(tmp_path):
    planner = freezer(tmp_path, names(range(100)))
    planner.freeze_part()
    spec = make_spec(output=str(tmp_path))
    chain = load_chain(open_folder(str(tmp_path / "mine")), run_paths(spec, "mine"))
    assert chain == planner.chain
    plan = chain.so_far()
    assert (plan.images, plan.shards, plan.bytes, plan.is_listed, len(plan.parts)) == (20, 2, 20, False, 1)
    assert rows_of(tmp_path, plan) == names(range(20))


def test_another_spec_does_not_go_on_with_a_chain(tmp_path):
    freezer(tmp_path, names(range(100))).freeze_part()
    spec = make_spec(output=str(tmp_path), top_k=2)
    paths = run_paths(spec, "mine")
    with pytest.raises(PlanChanged, match=r"model\.top_k: 5 → 2"):
        Freezer(spec, paths, open_folder(paths.uri), listing(names(range(100)))).freeze_part()


def test_a_part_that_does_not_go_on_from_the_one_before_it_is_refused(tmp_path):
    planner = freezer(tmp_path, names(range(100)))
    planner.freeze_part()
    planner.freeze_part()
    first = tmp_path / "mine/manifest/part-00000.manifest"
    first.unlink()
    again = freezer(tmp_path, names(range(200, 300)))
    again.freeze_part()
    with pytest.raises(OutputError, match=r"part-00001\.manifest does not go on from the part before it"):
        again.freeze_part()


def test_parts_grow_up_to_a_limit(tmp_path):
    plan = to_end(freezer(tmp_path, names(range(173))))
    assert [part.rows for part in plan.parts] == [20, 40, 40, 40, 33]
    assert [part.first_shard for part in plan.parts] == [0, *itertools.accumulate(part.shards for part in plan.parts)][
        :-1
    ]
