"""A complete run as the next one's source: its rows, chosen by what it found, each once, and read as it read them."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from image_sources import IMAGES, write_files, write_parquet, write_tar
from run_specs import make_spec, read_predictions, run_here
from sources import outcome, rows_of

from job.errors import PlanChanged, SourceError
from job.plan.records import load_plan
from job.sources.open_source import open_source
from job.sources.runs.finished_run import NOT_CHOSEN
from job.spec.limits import Limits
from job.spec.spec import RunSource
from job.stores.storage import open_folder

LIMITS = Limits(10**9, 10**6)


def first_run(tmp_path, write=write_files, **sections):
    folder = tmp_path / "in"
    folder.mkdir()
    return run_here(make_spec(tmp_path, rows_per_file=7, source=write(folder), **sections))


def source_of(uri, **spec):
    return open_source(RunSource(kind="run", uri=uri, **spec), LIMITS)


@pytest.mark.parametrize("write", [write_files, write_parquet, write_tar])
def test_the_images_of_a_run_are_read_again_in_its_order(tmp_path, write):
    run = first_run(tmp_path, write)
    source = source_of(run.uri)
    rows = rows_of(source)
    assert [outcome(handle) for handle in source.read(rows)] == list(IMAGES.values())
    assert rows["uri"].to_pylist() == read_predictions(run.paths)["uri"].to_pylist()
    assert rows_of(source).equals(rows)
    assert not source.left_out
    # Some rows in another order, as a shard's chunk has them.
    assert [outcome(handle) for handle in source.read(rows.slice(9, 5))] == list(IMAGES.values())[9:14]


@pytest.mark.parametrize("write", [write_files, write_parquet, write_tar])
def test_a_condition_chooses_and_columns_come_along(tmp_path, write):
    first = first_run(tmp_path, write)
    found = read_predictions(first.paths)
    wanted = found.filter(pa.compute.equal(found["label"], "red"))
    assert 0 < wanted.num_rows < found.num_rows
    extra = ["sku"] if write is write_parquet else []
    source = {"kind": "run", "uri": first.uri, "where": "label = 'red' and error is null", "label_from": "label"}
    second = run_here(make_spec(tmp_path, name="second", source={**source, "keep": ["label", "score", *extra]}))

    rows = read_predictions(second.paths)

    assert rows["uri"].to_pylist() == wanted["uri"].to_pylist()
    assert rows["source_score"].to_pylist() == wanted["score"].to_pylist()
    assert set(rows["source_label"].to_pylist()) == set(rows["expected"].to_pylist()) == {"red"}
    assert second.metrics.top1 == 1.0
    assert [(each.kind, each.count) for each in second.success.left_out] == [(NOT_CHOSEN, 24 - wanted.num_rows)]
    for name in extra:
        assert rows[name].to_pylist() == wanted[name].to_pylist()
    # And so on: a run of a run of a run.
    third = source_of(second.uri, where="source_score > 0", keep=["source_label"])
    assert rows_of(third)["source_label"].to_pylist() == ["red"] * wanted.num_rows
    assert [outcome(handle) for handle in third.read(rows_of(third))] == [
        data for n, data in enumerate(IMAGES.values()) if n % 3 == 0
    ]


def test_rows_that_failed_may_be_tried_again(tmp_path):
    (tmp_path / "in").mkdir()
    source = write_files(tmp_path / "in")
    (tmp_path / "in/05.png").write_bytes(b"no image")
    run = run_here(make_spec(tmp_path, source=source, errors={"max_fraction": 1.0}))
    again = source_of(run.uri, where="error is not null", keep=["error"])
    assert rows_of(again).select(["uri", "source_error"]).to_pylist()[0]["uri"] == f"{tmp_path}/in/05.png"
    assert rows_of(again).num_rows == 1


def test_a_public_run_in_a_bucket(s3, tmp_path, monkeypatch):
    for name, data in IMAGES.items():
        s3.put(f"in/{name}", data)
    spec = make_spec(tmp_path, source={"uri": f"{s3.anonymous_uri}/in"}, output={"uri": f"{s3.uri}/runs"})
    run = run_here(spec)
    source = source_of(run.uri, where="label = 'blue'")
    rows = rows_of(source)
    assert rows["uri"].to_pylist() == [f"{s3.uri}/in/{n:02d}.png" for n in range(2, 24, 3)]
    assert [outcome(handle) for handle in source.read(rows)] == list(IMAGES.values())[2::3]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"where": "label = "}, "source.where 'label = '"),
        ({"where": "lable = 'red'"}, "there is no column lable; did you mean label"),
        ({"where": "score"}, "is no condition"),
        ({"where": "score > 2"}, "has no rows of which 'score > 2' is true"),
        ({"keep": ["colour"]}, "source.keep: the run has no column 'colour'; its columns are uri, expected"),
        ({"label_from": "top_labels"}, "source.label_from: 'top_labels' holds lists"),
        ({"label_from": "class"}, "source.label_from: the run has no column 'class'"),
    ],
)
def test_what_the_run_does_not_have_is_refused(tmp_path, spec, said):
    run = first_run(tmp_path)
    with pytest.raises(SourceError, match=said):
        rows_of(source_of(run.uri, **spec))


def test_a_run_that_is_not_complete_or_not_whole_is_refused(tmp_path):
    run = first_run(tmp_path)
    with pytest.raises(SourceError, match="is no run's folder"):
        rows_of(source_of(str(tmp_path)))
    shutil.copytree(run.uri, tmp_path / "copy")
    assert rows_of(source_of(str(tmp_path / "copy"))).num_rows == 24
    shard = tmp_path / "copy/predictions/shard-00001.parquet"
    shard.write_bytes(Path(run.uri, "predictions/shard-00002.parquet").read_bytes())
    with pytest.raises(SourceError, match="is not what the run committed; `tench verify`"):
        rows_of(source_of(str(tmp_path / "copy")))
    shard.unlink()
    with pytest.raises(SourceError, match=r"has no predictions/shard-00001\.parquet"):
        rows_of(source_of(str(tmp_path / "copy")))
    (tmp_path / "copy/_SUCCESS").unlink()
    with pytest.raises(SourceError, match="is not complete; finish it"):
        rows_of(source_of(str(tmp_path / "copy")))


def test_another_run_in_the_place_of_the_first_is_another_source(tmp_path):
    first = first_run(tmp_path)
    spec = make_spec(tmp_path, name="second", source={"kind": "run", "uri": first.uri})
    second = run_here(spec)
    assert load_plan(open_folder(second.uri)).source_identity
    assert run_here(spec).uri == second.uri
    shutil.rmtree(first.uri)
    assert run_here(spec).uri == second.uri  # it is complete, and what it was made of may go
    (tmp_path / "in/00.png").unlink()
    run_here(make_spec(tmp_path, rows_per_file=7, source={"uri": f"{tmp_path}/in"}))
    with pytest.raises(PlanChanged, match="takes its images from a run that was replaced"):
        run_here(spec)
