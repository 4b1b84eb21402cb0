"""Parquet as its writers write it: pandas, polars, DuckDB, datasets and pyarrow, with the types that each picks."""

import decimal
import io
import logging

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import pytest
from colours import make_image
from PIL import Image
from sources import outcome, rows_of

from job.errors import SourceError
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import ParquetSource

IMAGES = [make_image("red", 0), make_image("blue", 1), make_image("green", 2)]


def source_of(uri, **spec):
    return open_source(ParquetSource(kind="parquet", uri=str(uri), **spec), Limits(10**9, 1_000_000))


def images_of(source):
    return [outcome(handle) for handle in source.read(rows_of(source))]


BYTES_AND_PATH = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"ab", None, b"ab"]).dictionary_encode(),
        pa.array([b"ab", None, b"ab"], pa.binary(2)),
        pa.array([[b"ab"], None, [b"ab"]], pa.list_(pa.binary())),
        pa.array([[b"ab"], [], [b"ab"]], pa.large_list(pa.large_binary())),
        pa.array([[b"ab"], None, [b"ab"]], pa.list_(pa.binary(), 1)),
        pa.array([[b"ab"], None, [b"ab"]], pa.list_view(pa.binary())),
        pa.array([[b"ab"], [None], [b"ab"]], pa.list_(pa.binary_view())),
        pa.array([[b"ab"], None, [b"ab"]], pa.list_(pa.binary(2))),
        pa.array([[{"bytes": b"ab"}], None, [{"bytes": b"ab"}]], pa.list_(BYTES_AND_PATH)),
        pa.array([{"bytes": [b"ab"]}, None, {"bytes": [b"ab"]}]),
    ],
    ids=lambda column: str(column.type),
)
def test_bytes_are_read_in_whatever_type_they_are_kept(tmp_path, column):
    try:
        pq.write_table(pa.table({"image": column}), tmp_path / "x.parquet")
    except pa.ArrowNotImplementedError as error:
        pytest.skip(f"this Arrow writes no such column: {error}")
    assert images_of(source_of(tmp_path)) == [b"ab", "missing", b"ab"]


def test_a_row_of_several_images_is_a_row_with_an_error(tmp_path):
    pq.write_table(pa.table({"image": [[b"ab"], [b"ab", b"cd"]]}), tmp_path / "x.parquet")
    source = source_of(tmp_path)
    good, bad = source.read(rows_of(source))
    assert good() == b"ab"
    with pytest.raises(Exception, match="unsupported: the row holds 2 images; a row is one image"):
        bad()


def test_fields_of_nested_structs_are_columns(tmp_path):
    rows = [
        {
            "sample": {"photo": {"bytes": b"one", "path": "a"}, "meta": {"label": "cat", "sku": 7}},
            "url": {"main": "x.jpg"},
        },
        {"sample": {"photo": {"bytes": b"two", "path": "b"}, "meta": None}, "url": None},
        {"sample": None, "url": {"main": "y.jpg"}},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    (tmp_path / "x.jpg").write_bytes(b"beside")
    keep = ["sample.meta.sku"]
    source = source_of(tmp_path, image_column="sample.photo", label_from="sample.meta.label", keep=keep)
    rows = rows_of(source)
    assert rows["expected"].to_pylist() == ["cat", None, None]
    assert rows["sample.meta.sku"].to_pylist() == [7, None, None]
    assert images_of(source) == [b"one", b"two", "missing"]
    assert images_of(source_of(tmp_path, image_column="sample.photo.bytes")) == [b"one", b"two", "missing"]
    assert images_of(source_of(tmp_path, uri_column="url.main")) == [b"beside", "missing", "missing"]
    with pytest.raises(SourceError, match=r"no column 'sample\.meta\.price'; its columns are sample, url"):
        rows_of(source_of(tmp_path, image_column="sample.photo", keep=["sample.meta.price"]))


def test_a_column_that_is_named_with_a_dot_comes_before_a_field(tmp_path):
    table = pa.table({"a": [{"b": b"field"}], "a.b": [b"column"], "label": [1]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert images_of(source_of(tmp_path, image_column="a.b")) == [b"column"]


def pyarrow_folders(folder, frame):
    pds.write_dataset(
        pa.Table.from_pandas(frame),
        folder,
        format="parquet",
        partitioning=pds.partitioning(pa.schema([("class", pa.string()), ("year", pa.int64())]), flavor="hive"),
    )


def pandas_folders(folder, frame):
    frame.to_parquet(folder, partition_cols=["class", "year"])


def polars_folders(folder, frame):
    pl.from_pandas(frame).write_parquet(folder, partition_by=["class", "year"])


def duckdb_folders(folder, frame):
    duckdb.sql("select * from frame").write_parquet(str(folder), partition_by=["class", "year"])


@pytest.mark.parametrize("write", [pyarrow_folders, pandas_folders, polars_folders, duckdb_folders])
def test_folders_of_partitions_are_columns(tmp_path, write):
    labels = ["tench, fish", "a/b=c %", None, "tench, fish"]
    if write is pandas_folders:
        labels[2] = "ü"  # pandas leaves out rows with a null there
    frame = pd.DataFrame({"image": [b"%d" % n for n in range(4)], "class": labels, "year": [2024, 2024, 2025, 2026]})
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, frame)
    source = source_of(folder, label_from="class", keep=["year", "class"])
    rows = rows_of(source)
    found = {
        handle(): (row["expected"], row["class"], row["year"])
        for handle, row in zip(source.read(rows), rows.to_pylist(), strict=True)
    }
    wanted = zip(frame["image"], labels, frame["year"], strict=True)
    assert found == {image: (label, label, year) for image, label, year in wanted}
    assert rows.schema.field("year").type == pa.int64()


def test_a_part_that_is_no_number_makes_all_of_them_texts(tmp_path):
    for value in ("007", "8"):
        (tmp_path / f"code={value}").mkdir()
        pq.write_table(pa.table({"image": [b"x"]}), tmp_path / f"code={value}" / "x.parquet")
    rows = rows_of(source_of(tmp_path, keep=["code"]))
    assert rows["code"].to_pylist() == ["007", "8"]
    # One file alone, by a pattern, has its folder's value too.
    assert rows_of(source_of(tmp_path / "code=8" / "*.parquet", label_from="code"))["expected"].to_pylist() == ["8"]


@pytest.mark.parametrize(
    ("kinds", "common"),
    [
        ([pa.null(), pa.int32()], pa.int32()),
        ([pa.int32(), pa.int64()], pa.int64()),
        ([pa.int32(), pa.uint32()], pa.int64()),
        ([pa.int64(), pa.float64()], pa.float64()),
        ([pa.string(), pa.large_string()], pa.large_string()),
        ([pa.string_view(), pa.large_string()], pa.large_string()),
        ([pa.dictionary(pa.int32(), pa.string()), pa.string()], pa.string()),
        ([pa.null(), pa.dictionary(pa.int32(), pa.string())], pa.dictionary(pa.int32(), pa.string())),
        ([pa.string(), pa.null(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], pa.string()),
        ([pa.timestamp("ms"), pa.timestamp("us")], pa.timestamp("us")),
        ([pa.decimal128(5, 2), pa.decimal128(9, 3)], pa.decimal128(9, 3)),
        ([pa.list_(pa.float32()), pa.large_list(pa.float64())], pa.large_list(pa.float64())),
        (
            [pa.struct([("a", pa.int32())]), pa.struct([("a", pa.int64()), ("b", pa.string())])],
            pa.struct([("a", pa.int64()), ("b", pa.string())]),
        ),
    ],
    ids=str,
)
def test_kept_columns_that_differ_get_the_type_that_holds_both(tmp_path, kinds, common):
    for number, kind in enumerate(kinds):
        pq.write_table(pa.table({"image": [b"x", b"y"], "kept": values_of(kind)}), tmp_path / f"{number}.parquet")
    rows = rows_of(source_of(tmp_path, keep=["kept"]))
    assert rows.schema.field("kept").type == common
    wanted = [value for kind in kinds for value in values_of(kind).to_pylist()]
    assert [as_words(value) for value in rows["kept"].to_pylist()] == [as_words(value) for value in wanted]


def values_of(kind):
    """One value and a null."""
    if pa.types.is_dictionary(kind):
        return pa.array(["7", None]).dictionary_encode().cast(kind)
    if pa.types.is_nested(kind):
        return pa.array([{"a": 7} if pa.types.is_struct(kind) else [1.5, 2], None], kind)
    value = {"timestamp": 7, "decimal": decimal.Decimal("7.25")}.get(str(kind).split("[")[0].split("1")[0], 7)
    return pa.array([None if pa.types.is_null(kind) else "7" if "string" in str(kind) else value, None], kind)


def as_words(value):
    """1 is 1.0 in another type, and a struct of more fields has nulls in those."""
    if isinstance(value, dict):
        return {name: as_words(each) for name, each in value.items() if each is not None}
    return float(value) if isinstance(value, int | decimal.Decimal) else value


def test_a_value_that_the_common_type_cannot_hold_is_refused(tmp_path):
    pq.write_table(pa.table({"image": [b"x"], "id": [2**53 + 1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": [b"x"], "id": [0.5]}), tmp_path / "b.parquet")
    with pytest.raises(SourceError, match=r"'id' is int64 in .*a\.parquet, and double in others, which cannot hold"):
        rows_of(source_of(tmp_path, keep=["id"]))


def test_files_of_pandas_of_which_one_has_nulls_alone(tmp_path):
    """pandas writes a column of nulls as null, of whole numbers with nulls as double, of texts as large_string."""
    image = [b"x", b"y"]
    pd.DataFrame({"image": image, "sku": ["a", "b"], "n": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"image": image, "sku": [None, None], "n": [1, np.nan]}).to_parquet(tmp_path / "b.parquet")
    pl.DataFrame({"n": [None, 4], "sku": ["c", None], "image": image}).write_parquet(tmp_path / "c.parquet")
    pd.DataFrame({"image": [None, None], "sku": [None, "d"], "n": [None, None]}).to_parquet(tmp_path / "d.parquet")
    source = source_of(tmp_path, keep=["sku", "n"], label_from="sku")
    rows = rows_of(source)
    assert rows["sku"].to_pylist() == ["a", "b", None, None, "c", None, None, "d"]
    assert rows["expected"].to_pylist() == rows["sku"].to_pylist()
    assert rows["n"].to_pylist() == [1, 2, 1, None, None, 4, None, None]
    assert images_of(source) == [b"x", b"y"] * 3 + ["missing"] * 2


def test_files_without_rows_and_columns_in_another_order(tmp_path):
    pq.write_table(pa.table({"image": pa.array([], pa.null()), "a": pa.array([], pa.null())}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"image": [b"x"], "a": [1], "b": ["l"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": ["m"], "a": [2], "image": [b"y"]}), tmp_path / "2.parquet")
    pq.write_table(pa.table({"image": [b"z"], "a": [3]}), tmp_path / "3.parquet")
    source = source_of(tmp_path, keep=["a"], label_from="b")
    rows = rows_of(source)
    assert rows["a"].to_pylist() == [1, 2, 3]
    assert rows["expected"].to_pylist() == ["l", "m", None]
    assert images_of(source) == [b"x", b"y", b"z"]


def test_a_column_that_some_files_lack_is_null_there_and_said(tmp_path, caplog):
    pq.write_table(pa.table({"image": [b"x"]}), tmp_path / "old.parquet")
    pq.write_table(pa.table({"image": [b"y"], "price": [2]}), tmp_path / "new.parquet")
    with caplog.at_level(logging.WARNING):
        assert rows_of(source_of(tmp_path, keep=["price"]))["price"].to_pylist() == [2, None]
    assert "1 of 2 files have no column 'price', such as" in caplog.text
    with pytest.raises(SourceError, match=r"source\.image_column: .*new\.parquet has no column 'photo'"):
        rows_of(source_of(tmp_path, image_column="photo"))


def test_a_limit_reads_no_more_footers_than_it_needs(tmp_path):
    pq.write_table(pa.table({"image": [b"x"] * 5, "n": [1] * 5}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": [b"x"], "n": ["another type"]}), tmp_path / "b.parquet")
    assert rows_of(source_of(tmp_path, keep=["n"], limit=5)).num_rows == 5
    with pytest.raises(SourceError, match="'n' is int64 in"):
        rows_of(source_of(tmp_path, keep=["n"], limit=6))


def test_listing_opens_each_file_once_where_nothing_is_read_of_it(flaky, s3):
    for name in ("a", "b", "c"):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"image": [b"x"] * 3}), sink)
        s3.put(f"{name}.parquet", sink.getvalue().to_pybytes())
    source = source_of(s3.uri)
    rows_of(source)
    flaky.requests.clear()
    assert rows_of(source).num_rows == 9
    # A listing, three looks for what makes a folder a table, and a footer of each file.
    assert flaky.requests.total() == 7


@pytest.fixture
def pictures(tmp_path):
    """Three PNGs in a folder."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, data in enumerate(IMAGES):
        (folder / f"{number}.png").write_bytes(data)
    return folder


def hf_images(folder, paths):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    return datasets.Dataset.from_dict({"image": paths, "label": [*range(len(paths))]}, features=features)


def test_hugging_face_images_that_are_paths_are_read_where_they_lead(tmp_path, pictures):
    """`Dataset.to_parquet` of images from files, as `datasets` keeps them in memory: no bytes, absolute paths."""
    paths = [str(pictures / f"{number}.png") for number in range(3)]
    table = hf_images(tmp_path, paths).data.table
    assert table["image"].to_pylist() == [{"bytes": None, "path": path} for path in paths]
    pq.write_table(table, tmp_path / "x.parquet")
    source = source_of(tmp_path / "x.parquet", label_from="label")
    rows = rows_of(source)
    assert rows["uri"].to_pylist() == paths
    assert rows["expected"].to_pylist() == ["0", "1", "2"]
    assert rows["offset"].null_count == 3
    assert images_of(source) == IMAGES


def test_hugging_face_images_as_to_parquet_writes_them(tmp_path, pictures):
    hf_images(tmp_path, [str(pictures / f"{number}.png") for number in range(3)]).to_parquet(tmp_path / "x.parquet")
    found = images_of(source_of(tmp_path / "x.parquet"))
    assert [Image.open(io.BytesIO(data)).getpixel((0, 0)) for data in found] == [
        Image.open(io.BytesIO(data)).getpixel((0, 0)) for data in IMAGES
    ]


@pytest.mark.parametrize("statistics", [True, False])
def test_paths_start_at_the_parquet_file_and_rows_may_be_mixed(s3, statistics):
    for name in ("near.jpg", "sub/far.jpg"):
        s3.put(f"set/{name}", name.encode())
    images = [
        {"bytes": None, "path": "near.jpg"},
        {"bytes": None, "path": "sub/far.jpg"},
        {"bytes": None, "path": None},
        {"bytes": b"inside", "path": "near.jpg"},
        {"bytes": None, "path": f"{s3.uri}/set/sub/far.jpg"},
        {"bytes": None, "path": "gone.jpg"},
    ]
    sink = pa.BufferOutputStream()
    column = pa.array(images, BYTES_AND_PATH)
    pq.write_table(pa.table({"image": column}), sink, row_group_size=3, write_statistics=statistics)
    s3.put("set/x.parquet", sink.getvalue().to_pybytes())
    source = source_of(f"{s3.uri}/set/x.parquet")
    rows = rows_of(source)
    whole = f"{s3.uri}/set"
    near, far, none = rows["uri"].to_pylist()[:3]
    assert (near, far, none) == (f"{whole}/near.jpg", f"{whole}/sub/far.jpg", "")
    assert rows["uri"].to_pylist()[3:] == [f"{whole}/x.parquet#{row}" for row in (3, 4, 5)]
    expected = [b"near.jpg", b"sub/far.jpg", "missing", b"inside", b"sub/far.jpg", "missing"]
    assert images_of(source) == expected
    assert [outcome(handle) for handle in source.read(rows.take([5, 1, 3]))] == ["missing", b"sub/far.jpg", b"inside"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("x.jpg", r"there is nothing at .*/x\.jpg"),
        ("/no/such/x.jpg", "there is nothing at /no/such/x.jpg"),
        ("hf://datasets/a/b@main/x.jpg", "hf://datasets/a/b@main/x.jpg: unknown scheme hf://"),
        ("https://example.invalid/x.jpg", "https://example.invalid/x.jpg: unknown scheme https://"),
        ("zip://x.jpg::/data/a.zip", "zip://x.jpg::/data/a.zip: unknown scheme zip://"),
    ],
)
def test_paths_that_lead_nowhere_are_one_refusal(tmp_path, path, why):
    images = pa.array([{"bytes": None, "path": path}] * 3, BYTES_AND_PATH)
    pq.write_table(pa.table({"image": images}), tmp_path / "x.parquet")
    with pytest.raises(SourceError, match=f"'image' holds no bytes in .*x.parquet, only paths, and {why}.*; write it"):
        rows_of(source_of(tmp_path))


def test_texts_that_are_kept_as_bytes_are_uris_and_labels(tmp_path):
    """Impala and old Hive do not mark their texts as such."""
    (tmp_path / "a.jpg").write_bytes(b"a")
    pq.write_table(pa.table({"url": [b"a.jpg"], "label": [b"cat"]}), tmp_path / "x.parquet")
    source = source_of(tmp_path, uri_column="url", label_from="label")
    assert rows_of(source)["expected"].to_pylist() == ["cat"]
    assert images_of(source) == [b"a"]


def test_what_duckdb_and_polars_write_is_read(tmp_path):
    frame = pl.DataFrame({"image": IMAGES, "label": pl.Series(["a", "b", "a"], dtype=pl.Categorical)})
    frame = frame.with_columns(kept=pl.col("label"))
    frame.write_parquet(tmp_path / "polars.parquet")
    duckdb.sql("select image, label, label::enum('a','b') as kept from frame").write_parquet(
        str(tmp_path / "duckdb.parquet")
    )
    source = source_of(tmp_path, label_from="label", keep=["kept"])
    rows = rows_of(source)
    assert rows["expected"].to_pylist() == rows["kept"].to_pylist() == ["a", "b", "a"] * 2
    assert images_of(source) == IMAGES * 2
