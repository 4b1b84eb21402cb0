"""`import tench`: light, typed, and enough to run a spec and to read a run."""

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from colours import write_images
from run_specs import make_spec

import tench


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_images(folder / "images", 25)
    (folder / "images" / "red" / "empty.png").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def spec(folder):
    return make_spec(folder, errors={"max_fraction": 0.5}).model_dump(mode="json")


@pytest.fixture(scope="module")
def result(spec):
    return tench.run(spec, progress=False)


@pytest.fixture
def run(result):
    return tench.open_run(result.uri)


def test_importing_it_loads_nothing_heavy():
    code = "import sys, tench; tench.__all__; print([name for name in sys.modules if name.split('.')[0] in HEAVY])"
    heavy = {"torch", "ray", "pyarrow", "pydantic", "numpy", "boto3", "rich", "yaml", "job"}
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {heavy}; {code}"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_every_name_is_there_and_checkers_see_the_same_ones():
    assert all(getattr(tench, name) is not None for name in tench.__all__)
    assert dir(tench) == tench.__all__ == sorted(tench.__all__, key=lambda name: (name[0].islower(), name))
    tree = ast.parse(Path(tench.__file__).read_text(encoding="utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in typed.body for alias in node.names}
    assert seen == tench._MODULE_OF
    assert set(seen) == set(tench.__all__)
    with pytest.raises(AttributeError, match="tench has no 'runn'"):
        tench.runn  # noqa: B018


def test_it_says_that_it_is_typed():
    assert Path(tench.__file__).with_name("py.typed").is_file()
    assert Path(tench.__file__).parents[1].joinpath("job", "py.typed").is_file()


def test_a_run_returns_what_it_came_to(result, folder, capsys):
    assert (result.rows, result.failed) == (26, 1)
    assert result.metrics.top1 == 1.0
    assert result.metrics.failed_by_kind == {"empty": 1}
    assert Path(result.report).is_file()
    assert Path(result.uri).parent == folder / "runs"
    assert repr(result) == f"Result(uri={result.uri!r}, rows=26, failed=1)"


def test_a_finished_run_returns_the_same_at_once(result, spec):
    assert tench.run(spec, progress=False).success == result.success


def test_a_spec_may_be_a_file_a_mapping_or_a_spec(spec, tmp_path):
    loaded = tench.load_spec(spec)
    file = tmp_path / "job.json"
    file.write_text(loaded.model_dump_json())
    assert tench.load_spec(file) == tench.load_spec(str(file)) == tench.load_spec(loaded) == loaded


def test_a_wrong_spec_names_all_its_problems(spec):
    with pytest.raises(tench.SpecError) as caught:
        tench.run({**spec, "modle": {}, "name": "Not a name"})
    assert len(caught.value.problems) == 2
    assert "did you mean model?" in str(caught.value)


def test_an_engine_that_is_none_is_refused(spec):
    with pytest.raises(tench.UsageError, match="there is no engine 'rya'; use local or ray"):
        tench.run(spec, engine="rya", run_id="another")


def test_a_plan_says_what_a_run_would_do(spec, result):
    found = tench.plan(spec)
    assert (found.images, found.state, found.skipped_images) == (26, "complete", 26)
    assert tench.plan(spec, run_id="another").state == "new"


def test_a_run_is_read_as_arrow_in_the_manifest_s_order(run, result, folder):
    table = run.predictions()
    assert table["uri"].to_pylist() == sorted(str(path) for path in (folder / "images").rglob("*.png"))
    labels = run.predictions(columns=["label", "uri"])
    assert labels.column_names == ["label", "uri"]
    assert labels["label"].equals(table["label"])
    batches = list(run.batches(columns=["label", "uri"]))
    assert [batch.num_rows for batch in batches] == [10, 10, 6]
    assert pa.Table.from_batches(batches).equals(labels)
    assert len(run.to_pandas(columns=["uri"])) == 26
    assert run.plan.images == 26
    assert run.success == result.success
    assert run.progress().rows_done == 26
    assert run.verify().failed == 1


def test_a_column_that_is_not_there_is_told_with_the_nearest(run):
    with pytest.raises(tench.UsageError, match="no column 'lable'; did you mean label"):
        run.predictions(columns=["lable"])


@pytest.mark.parametrize("columns", ["label", [], [1]])
def test_columns_that_are_no_list_of_names_are_refused(run, columns):
    with pytest.raises(tench.UsageError, match="give a list of names"):
        run.predictions(columns=columns)
    with pytest.raises(tench.UsageError, match="give a list of names"):
        next(run.batches(columns=columns))


def test_columns_may_be_given_by_an_iterator(run):
    assert run.predictions(columns=iter(["label", "uri"])).equals(run.predictions(columns=["label", "uri"]))
    assert [batch.num_columns for batch in run.batches(columns=iter(["uri"]))] == [1, 1, 1]


def test_paths_may_be_bytes(run, spec, tmp_path):
    file = tmp_path / "job.json"
    file.write_text(tench.load_spec(spec).model_dump_json())
    assert tench.load_spec(bytes(file)) == tench.load_spec(file)
    assert tench.open_run(run.uri.encode()).uri == run.uri
    assert run.collect(bytes(tmp_path / "here")).rows == 26


def test_a_run_id_that_is_no_text_is_refused_before_anything_is_written(spec, tmp_path):
    elsewhere = {**spec, "output": {"uri": str(tmp_path / "runs")}}
    with pytest.raises(tench.UsageError, match="run_id is 7; it must be text"):
        tench.run(elsewhere, run_id=7, progress=False)
    with pytest.raises(tench.UsageError, match="run_id is 7; it must be text"):
        tench.plan(elsewhere, run_id=7)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"format": "xml"}, "format is 'xml'; there are parquet, csv, jsonl"),
        ({"merge": 0}, "merge is 0"),
        ({"merge": -1}, "merge is -1"),
        ({"merge": 1.5}, "merge is 1.5"),
        ({"where": 5}, "where is 5"),
    ],
)
def test_a_form_that_cannot_be_is_refused(run, tmp_path, form, said):
    with pytest.raises(tench.UsageError, match=said):
        run.collect(tmp_path / "here", **form)


def test_a_run_is_collected(run, tmp_path):
    found = run.collect(tmp_path / "here", format="csv", merge=1)
    assert found.files == ["predictions.csv"]
    assert found.rows == 26


def test_an_unfinished_run_gives_what_is_committed(run, tmp_path, spec):
    import shutil

    part = Path(shutil.copytree(run.uri, tmp_path / "part"))
    (part / "_SUCCESS").unlink()
    (part / "predictions" / "shard-00001.parquet").unlink()
    unfinished = tench.open_run(part)
    assert unfinished.success is None
    assert unfinished.predictions().num_rows == 16
    with pytest.raises(tench.RunFailed, match="has no _SUCCESS"):
        unfinished.verify()


def test_a_changed_file_and_a_folder_that_is_no_run_are_refused(run, tmp_path):
    import shutil

    copy = Path(shutil.copytree(run.uri, tmp_path / "copy"))
    (copy / "predictions" / "shard-00001.parquet").write_bytes(b"short")
    with pytest.raises(tench.RunFailed, match="does not hold what it says"):
        tench.open_run(copy).predictions()
    with pytest.raises(tench.RunFailed, match=r"has no plan\.json"):
        tench.open_run(tmp_path).plan  # noqa: B018


def test_a_bucket_s_run_is_read_the_same(s3, folder, spec):
    result = tench.run({**spec, "output": {"uri": f"{s3.uri}/runs", "rows_per_file": 10}}, progress=False)
    run = tench.open_run(result.uri)
    assert result.uri.startswith("s3://")
    assert run.predictions(columns=["label"]).num_rows == 26
    assert run.verify().rows == 26


def test_a_copy_is_read_by_its_digests(run, tmp_path):
    import shutil

    copy = Path(shutil.copytree(run.uri, tmp_path / "copy"))
    assert tench.open_run(copy).predictions().equals(run.predictions())
    shard = copy / "predictions" / "shard-00001.parquet"
    data = shard.read_bytes()
    shard.write_bytes(data.replace(b"parquet-cpp", b"parquet-CPP"))  # as long, and as readable
    assert shard.read_bytes() != data
    with pytest.raises(tench.RunFailed, match=r"shard-00001\.parquet was changed"):
        tench.open_run(copy).predictions()


def test_a_file_that_is_no_parquet_is_named(run, tmp_path):
    import shutil

    part = Path(shutil.copytree(run.uri, tmp_path / "part"))
    (part / "_SUCCESS").unlink()
    (part / "predictions" / "shard-00001.parquet").write_bytes(b"short")
    with pytest.raises(tench.RunFailed, match=r"shard-00001\.parquet cannot be read"):
        tench.open_run(part).predictions()
    with pytest.raises(tench.RunFailed, match=r"shard-00001\.parquet cannot be read"):
        list(tench.open_run(part).batches())


def test_a_wrong_spec_s_error_travels_between_processes():
    with pytest.raises(tench.SpecError) as caught:
        tench.load_spec({"name": "x"})
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


def test_an_output_below_a_file_is_refused_in_words(spec, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(tench.OutputError, match="/file is a file; name another"):
        tench.run({**spec, "output": {"uri": str(tmp_path / "file")}}, progress=False)
