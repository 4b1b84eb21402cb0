"""The frozen plan: shards whole and in order, create-only, refused when it changed."""

import json
from typing import Annotated

import pyarrow.parquet as pq
import pytest
from builders import freeze_here, make_listing, make_spec
from hypothesis import given
from hypothesis import strategies as st

from job.errors import PlanChanged, RunFailed
from job.plan import freeze as freezing
from job.plan.fingerprint import fingerprint
from job.plan.freeze import freeze
from job.plan.manifest import Manifest
from job.plan.plan import check_unchanged, run_paths
from job.plan.records import load_plan
from job.spec.spec import DefaultCountsAs, JobSpec, SpecModel
from job.stores.storage import open_folder


@given(lengths=st.lists(st.integers(0, 30), max_size=8), rows_per_file=st.integers(1, 12), part_rows=st.integers(1, 40))
def test_every_listed_row_is_in_one_shard_in_order(tmp_path_factory, lengths, rows_per_file, part_rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(freezing, "PART_ROWS", part_rows)
        _, paths, plan = freeze_here(tmp_path_factory.mktemp("run"), lengths, rows_per_file=rows_per_file)
    manifest = Manifest(paths, plan.parts)
    shards = [manifest.rows(shard) for shard in range(plan.shards)]
    assert [len(shard) for shard in shards] == [plan.shard_rows(shard) for shard in range(plan.shards)]
    assert [uri for shard in shards for uri in shard["uri"].to_pylist()] == [
        f"/images/{n}.jpg" for n in range(sum(lengths))
    ]
    assert all(shard["row"].to_pylist() == list(range(len(shard))) for shard in shards)
    assert plan.images == sum(lengths)
    assert plan.bytes == sum(range(1, sum(lengths) + 1))


def test_a_plan_that_exists_is_loaded_as_it_was_written(tmp_path):
    _, paths, plan = freeze_here(tmp_path, [25])
    assert load_plan(open_folder(paths.uri)) == plan
    assert load_plan(open_folder(str(tmp_path / "nothing"))) is None


def test_the_run_id_depends_on_what_determines_the_result_and_on_nothing_else():
    spec = make_spec()
    assert fingerprint(make_spec(top_k=3)) != fingerprint(spec)
    assert fingerprint(make_spec(rows_per_file=11)) != fingerprint(spec)
    assert fingerprint(make_spec(output="elsewhere")) == fingerprint(spec)
    faster = spec.model_copy(update={"compute": spec.compute.model_copy(update={"concurrency": 8})})
    assert run_paths(faster).run_id == run_paths(spec).run_id == f"test-{fingerprint(spec)[:8]}"


def test_how_images_are_read_is_part_of_the_id_where_it_is_given():
    spec = make_spec()

    def with_source(**fields):
        return fingerprint(
            JobSpec.model_validate({**spec.model_dump(), "source": {**spec.source.model_dump(), **fields}})
        )

    assert with_source(orientation="auto", depth="clip") == fingerprint(spec)
    assert (
        len(
            {
                with_source(**wish)
                for wish in ({}, {"orientation": "apply"}, {"orientation": "keep"}, {"depth": "scale"})
            }
        )
        == 4
    )


def test_a_key_that_came_later_counts_where_it_is_given():
    class Spec(SpecModel):
        kind: str = "files"
        suffixes: Annotated[tuple[str, ...], DefaultCountsAs([".jpg"])] = (".jpg", ".avif")
        orientation: Annotated[str, DefaultCountsAs()] = "auto"

    assert Spec().determinants() == {"kind": "files", "suffixes": [".jpg"]}
    given = {"kind": "files", "suffixes": [".png"], "orientation": "keep"}
    assert Spec(**given).determinants() == given


def test_a_changed_plan_is_refused_with_what_changed(tmp_path):
    _, _, plan = freeze_here(tmp_path, [3])
    with pytest.raises(PlanChanged, match=r"model\.top_k: 5 → 3") as caught:
        check_unchanged(plan, make_spec(tmp_path, top_k=3, rows_per_file=20))
    assert "output.rows_per_file: 10 → 20" in str(caught.value)
    assert "model.name" not in str(caught.value)


def test_the_first_of_two_planners_wins_even_if_the_source_grew_between(tmp_path):
    spec, paths, first = freeze_here(tmp_path, [25])
    part = tmp_path / paths.run_id / paths.manifest(0)
    written = part.stat()
    for listed in (25, 30):
        assert freeze(spec, paths, open_folder(paths.uri), make_listing([listed])) == first
        assert (part.stat().st_ino, part.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert len(Manifest(paths, first.parts).rows(0)) == 10


def test_parts_left_by_an_older_version_s_planner_that_died_are_replaced(tmp_path):
    spec, paths, _ = freeze_here(tmp_path, [25])
    folder = open_folder(paths.uri)
    (tmp_path / paths.run_id / "plan.json").unlink()
    part = tmp_path / paths.run_id / paths.manifest(0)
    pq.write_table(pq.read_table(part).replace_schema_metadata(None), part)
    again = freeze(spec, paths, folder, make_listing([30]))
    assert again.images == 30
    assert sum(len(Manifest(paths, again.parts).rows(shard)) for shard in range(again.shards)) == 30


def test_a_manifest_that_is_not_the_plans_stops_the_run(tmp_path):
    _, paths, plan = freeze_here(tmp_path, [25])
    part = tmp_path / paths.run_id / paths.manifest(0)
    table = pq.read_table(part)
    part.unlink()
    pq.write_table(table.slice(1), part)
    with pytest.raises(RunFailed, match=r"part-00000\.manifest is not what plan\.json froze"):
        Manifest(paths, plan.parts).rows(0)


def test_a_shard_s_rows_come_with_the_columns_that_are_asked_for(tmp_path):
    _, paths, plan = freeze_here(tmp_path, [25])
    manifest = Manifest(paths, plan.parts)
    assert manifest.rows(1, ["uri", "offset"]).column_names == ["uri"]
    assert manifest.rows(1)["uri"].equals(manifest.rows(1, ["uri"])["uri"])
    assert manifest.rows(2).num_rows == 5


def test_a_copied_run_is_still_the_plans(tmp_path):
    _, paths, plan = freeze_here(tmp_path, [25])
    part = tmp_path / paths.run_id / paths.manifest(0)
    data = part.read_bytes()
    part.unlink()
    part.write_bytes(data)
    assert len(Manifest(paths, plan.parts).rows(0)) == 10


def test_a_plan_of_a_newer_version_is_read(tmp_path):
    _, paths, plan = freeze_here(tmp_path, [5])
    path = tmp_path / paths.run_id / "plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "blue"}))
    assert load_plan(open_folder(paths.uri)) == plan
