"""The forms of a collection: merged, CSV, JSON lines, and the rows of which a condition is true."""

import base64
import csv
import json
import sys
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from colours import LABELS, make_image, write_images
from forked_command import call_tench
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from run_specs import files_below, make_spec, read_predictions, run_here

from job.errors import UsageError
from job.plan.records import CommittedFile
from job.plan.where import Where
from tench.launcher.collect import writers
from tench.launcher.collect.collection import collect
from tench.launcher.collect.form import Form
from tench.launcher.collect.outputs import plan_outputs

IMAGES, SHARDS = 45, 5


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A finished run, in which two images failed. Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("run")
    write_images(folder / "images", IMAGES - 2)
    (folder / "images" / "red" / "empty.png").write_bytes(b"")
    (folder / "images" / "red" / "text.png").write_text("no image")
    return run_here(make_spec(folder, errors={"max_fraction": 0.5}))


@pytest.fixture(scope="module")
def predictions(result):
    return read_predictions(result.paths)


def bring(result, to, **form):
    return collect(result.uri, str(to), Form(**form), False, Console(file=StringIO()))


def written(folder):
    return [name for name in files_below(folder) if name.startswith("predictions")]


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_merged_into_one_file_are_all_rows_in_order(result, predictions, tmp_path):
    found = bring(result, tmp_path / "here", merge=1)
    assert (found.files, found.rows) == (["predictions.parquet"], IMAGES)
    assert found.bytes == (tmp_path / "here" / "predictions.parquet").stat().st_size
    assert pq.read_table(tmp_path / "here" / "predictions.parquet").equals(predictions)
    assert written(tmp_path / "here") == ["predictions.parquet"]
    assert files_below(tmp_path / "here" / ".collect") == ["record.jsonl"]


@pytest.mark.parametrize("merge", [2, 4, 7])
def test_merged_into_several_files_rows_are_divided_evenly(result, predictions, tmp_path, merge):
    names = [f"predictions-{number:05d}-of-{merge:05d}.parquet" for number in range(merge)]
    assert bring(result, tmp_path / "here", merge=merge).files == names
    tables = [pq.read_table(tmp_path / "here" / name) for name in names]
    assert pa.concat_tables(tables).equals(predictions)
    assert {table.num_rows for table in tables} <= {IMAGES // merge, IMAGES // merge + 1}


@given(rows=st.lists(st.integers(1, 50), min_size=1, max_size=20), merge=st.integers(1, 30))
def test_every_row_is_in_one_output(rows, merge):
    files = [
        CommittedFile(file=f"{number}.parquet", rows=count, bytes=1, etag="e") for number, count in enumerate(rows)
    ]
    outputs = plan_outputs(files, merge, "parquet")
    pieces = [piece for output in outputs for piece in output.pieces]
    there = [(piece.file.file, row) for piece in pieces for row in range(piece.start, piece.stop)]
    assert there == [(file.file, row) for file in files for row in range(file.rows)]
    sizes = [sum(piece.rows for piece in output.pieces) for output in outputs]
    assert len(sizes) == merge
    assert max(sizes) - min(sizes) <= 1


def test_many_shards_become_row_groups_that_are_worth_it(result, tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "GROUP_ROWS", 20)
    bring(result, tmp_path / "here", merge=1)
    metadata = pq.read_metadata(tmp_path / "here" / "predictions.parquet")
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [20, 20, 5]


def test_jsonl_says_what_parquet_says(result, predictions, tmp_path):
    assert bring(result, tmp_path / "here", format="jsonl", merge=1).files == ["predictions.jsonl"]
    rows = read_jsonl(tmp_path / "here" / "predictions.jsonl")
    assert list(rows[0]) == predictions.column_names
    for row, wanted in zip(rows, predictions.to_pylist(), strict=True):
        scores = [(row.pop("score"), wanted.pop("score"))]
        scores += zip(row.pop("top_scores") or [], wanted.pop("top_scores") or [], strict=True)
        assert row == wanted
        assert all(one == other or one == pytest.approx(other) for one, other in scores)


def test_csv_has_a_file_for_each_shard_and_json_in_its_lists(result, predictions, tmp_path):
    names = [f"predictions/shard-{shard:05d}.csv" for shard in range(SHARDS)]
    assert bring(result, tmp_path / "here", format="csv").files == names
    rows = [row for name in names for row in read_csv(tmp_path / "here" / name)]
    assert [row["uri"] for row in rows] == predictions["uri"].to_pylist()
    assert [json.loads(row["top_labels"] or "null") for row in rows] == predictions["top_labels"].to_pylist()
    assert [row["label"] or None for row in rows] == predictions["label"].to_pylist()
    assert written(tmp_path / "here") == names
    assert files_below(tmp_path / "here" / ".collect") == ["record.jsonl"]


def test_a_float32_has_the_digits_it_has(tmp_path):
    scores = pa.array([0.9, 1e-7, None], pa.float32())
    lists = pa.array([[0.9, None], [], None], pa.list_(pa.float32()))
    table = pa.table({"score": scores, "scores": lists})
    assert write("jsonl", table, tmp_path).splitlines() == [
        '{"score":0.9,"scores":[0.9,null]}',
        '{"score":1e-7,"scores":[]}',
        '{"score":null,"scores":null}',
    ]
    assert write("csv", table, tmp_path).splitlines() == ['"score","scores"', '0.9,"[0.9,null]"', '1e-7,"[]"', ","]


def write(suffix, table, folder):
    writer = writers.WRITERS[suffix](folder / "file", table.schema)
    writer.write(table)
    writer.close()
    return (folder / "file").read_text(encoding="utf-8")


def test_boxes_and_every_kind_of_column_that_is_kept(tmp_path):
    boxes = pa.list_(pa.list_(pa.float32()))
    table = pa.table(
        {
            "boxes": pa.array([[[0, 1.5, 2, 3], [4, 5, 6, 7]], [], None], boxes),
            "raw": pa.array([b"\x00\xff", b"", None], pa.binary()),
            "text": pa.array(['a "b"\n\\ü\x01', "", None]),
            "kind": pa.array(["x", "x", None]).dictionary_encode(),
            "nan": pa.array([float("nan"), float("inf"), 1.0]),
            "day": pa.array([0, 1, None], pa.date32()),
            "price": pa.array([1, None, 3], pa.decimal128(5, 2)),
            "pair": pa.array(
                [{"a": 0.1, "b": "c"}, {"a": None, "b": None}, None], pa.struct({"a": pa.float32(), "b": pa.string()})
            ),
            "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int8())),
            "flag": pa.array([True, False, None]),
        }
    )
    first, second, third = map(json.loads, write("jsonl", table, tmp_path).splitlines())
    assert first == {
        "boxes": [[0, 1.5, 2, 3], [4, 5, 6, 7]],
        "raw": "AP8=",
        "text": 'a "b"\n\\ü\x01',
        "kind": "x",
        "nan": None,
        "day": "1970-01-01",
        "price": "1.00",
        "pair": {"a": 0.1, "b": "c"},
        "map": [["k", 1]],
        "flag": True,
    }
    assert (second["boxes"], second["raw"], second["text"], second["pair"]) == ([], "", "", {"a": None, "b": None})
    assert third == dict.fromkeys(table.column_names) | {"nan": 1.0, "price": "3.00"}
    rows = list(csv.DictReader(StringIO(write("csv", table, tmp_path), newline="")))
    assert rows[0] == {
        "boxes": "[[0,1.5,2,3],[4,5,6,7]]",
        "raw": "AP8=",
        "text": 'a "b"\n\\ü\x01',
        "kind": "x",
        "nan": "nan",
        "day": "1970-01-01",
        "price": "1.00",
        "pair": '{"a":0.1,"b":"c"}',
        "map": '[["k",1]]',
        "flag": "true",
    }
    assert set(rows[2].values()) == {"", "1", "3.00"}


def test_kept_bytes_of_a_run_are_base64(tmp_path):
    raw = [make_image(label, number) for number, label in enumerate(LABELS * 4)]
    table = pa.table({"image": raw, "raw": raw, "sku": list(range(len(raw)))})
    (tmp_path / "source").mkdir()
    pq.write_table(table, tmp_path / "source" / "images.parquet")
    source = {"kind": "parquet", "uri": str(tmp_path / "source"), "keep": ["raw", "sku"]}
    result = run_here(make_spec(tmp_path, source=source, rows_per_file=5))
    bring(result, tmp_path / "here", format="jsonl", merge=1)
    rows = read_jsonl(tmp_path / "here" / "predictions.jsonl")
    assert [base64.b64decode(row["raw"]) for row in rows] == raw
    assert [row["sku"] for row in rows] == list(range(len(raw)))


def test_a_second_call_of_a_form_makes_nothing(result, tmp_path):
    bring(result, tmp_path / "here", format="csv", merge=2)
    before = {name: (tmp_path / "here" / name).stat().st_ino for name in written(tmp_path / "here")}
    again = bring(result, tmp_path / "here", format="csv", merge=2)
    assert (again.downloaded_bytes, again.rows) == (0, IMAGES)
    assert {name: (tmp_path / "here" / name).stat().st_ino for name in written(tmp_path / "here")} == before


def test_an_output_that_was_cut_is_made_again_from_its_own_shards_alone(result, tmp_path):
    bring(result, tmp_path / "here", merge=3)
    first, middle, _ = (tmp_path / "here" / name for name in written(tmp_path / "here"))
    whole, inode = middle.read_bytes(), first.stat().st_ino
    middle.write_bytes(whole[:-1])
    again = bring(result, tmp_path / "here", merge=3)
    assert 0 < again.downloaded_bytes < sum(file.bytes for file in result.success.files)
    assert pq.read_table(middle).num_rows == 15
    assert first.stat().st_ino == inode


def test_a_condition_that_fails_midway_leaves_nothing_that_looks_whole(result, tmp_path):
    """The second shard has no `empty:`, the last ones have: what is found first is no matter, the call is wrong."""
    with pytest.raises(UsageError, match="Could not convert string"):
        bring(result, tmp_path / "here", merge=1, where="cast(coalesce(split_part(error, ':', 1), '1') as int) = 1")
    assert written(tmp_path / "here") == []


CONDITIONS = {
    "error is null": lambda row: row["error"] is None,
    "error is not null": lambda row: row["error"] is not None,
    "expected != label": lambda row: row["label"] is not None and row["expected"] != row["label"],
    "score > 0.98 and label = 'red'": lambda row: (
        row["score"] is not None and row["score"] > 0.98 and row["label"] == "red"
    ),
    "not (label = 'red' or label in ('blue'))": lambda row: row["label"] == "green",
    "uri like '%/blue/%' or error like 'empty:%'": lambda row: (
        "/blue/" in row["uri"] or str(row["error"])[:5] == "empty"
    ),
    "list_contains(top_labels, 'green')": lambda row: "green" in (row["top_labels"] or ()),
    "true": lambda row: True,
    "false": lambda row: False,
}


@pytest.mark.parametrize("where", CONDITIONS)
def test_where_keeps_the_rows_of_which_it_is_true(result, predictions, tmp_path, where):
    found = bring(result, tmp_path / "here", merge=2, where=where)
    wanted = [row["uri"] for row in predictions.to_pylist() if CONDITIONS[where](row)]
    tables = [pq.read_table(tmp_path / "here" / name) for name in written(tmp_path / "here")]
    assert pa.concat_tables(tables)["uri"].to_pylist() == wanted
    assert tables[0].schema.equals(predictions.schema)
    assert found.rows == len(wanted)


def test_where_without_merge_leaves_a_file_for_each_shard(result, predictions, tmp_path):
    found = bring(result, tmp_path / "here", where="error is null")
    assert found.files == [f"predictions/shard-{shard:05d}.parquet" for shard in range(SHARDS)]
    rows = pq.read_table(tmp_path / "here" / "predictions")
    assert rows["uri"].to_pylist() == [row["uri"] for row in predictions.to_pylist() if row["error"] is None]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("erorr is null", r"there is no column erorr; did you mean error\? \(columns: uri, expected, error"),
        ('label = "tench"', r"there is no column tench; text has single quotes: 'tench'"),
        ("score", "is no condition, its value is FLOAT; compare it with something"),
        ("score <", "syntax error"),
        ("", "--where ''"),
        ("error is null, label is null", "single expression"),
        ("true; drop table x", "statement"),
        ("count(*) > 1", "aggregates"),
        ("score < 'low'", "Could not convert string 'low'"),
        ("exists (select * from read_text('/etc/passwd'))", "file system operations are disabled"),
        ("exists (select * from '/etc/passwd')", "--where"),
        ("exists (select 1 from result)", "does not exist"),
    ],
)
def test_a_condition_that_is_none_is_refused_before_a_shard_is_read(result, tmp_path, where, message):
    with pytest.raises(UsageError, match=message):
        bring(result, tmp_path / "here", where=where)
    assert not (tmp_path / "here").exists()


def test_a_condition_sees_no_variable_of_this_process():
    secrets = pa.table({"secret": [1]})
    with pytest.raises(UsageError, match="Table with name secrets does not exist"):
        Where("exists (select 1 from secrets)", secrets.schema)


def test_where_says_what_it_needs(result, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError, match=r"needs the extra `where`, duckdb: pip install duckdb"):
        bring(result, tmp_path / "here", where="error is null")
    assert bring(result, tmp_path / "here", merge=1).rows == IMAGES


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["--merge", "RUN"], ["predictions.parquet"]),
        (["RUN", "--merge"], ["predictions.parquet"]),
        (["RUN", "--merge", "2"], ["predictions-00000-of-00002.parquet", "predictions-00001-of-00002.parquet"]),
        (["--merge=1", "--format", "csv", "RUN", "--where", "error is null"], ["predictions.csv"]),
    ],
)
def test_the_forms_as_they_are_called_for(result, tmp_path, arguments, files):
    arguments = [str(Path(result.uri)) if argument == "RUN" else argument for argument in arguments]
    done = call_tench("collect", "--to", "here", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/here\n"), done.stderr
    assert written(tmp_path / "here") == files
