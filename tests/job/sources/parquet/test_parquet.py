"""The parquet source: columns arrive unchanged, rows are the rows, and wrong columns are named."""

import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources import as_rows_name_it, outcome, rows_of

from job.errors import SourceError
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import ParquetSource

MAX_BYTES = 1_000_000


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path):
    """A place for Parquet files, by its URI, and a function that writes one there."""
    if request.param == "local":

        def write(name, table, **options):
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path, **options)

        return str(tmp_path / "data"), write
    s3 = request.getfixturevalue("s3")

    def upload(name, table, **options):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, **options)
        s3.put(f"data/{name}", sink.getvalue().to_pybytes())

    return f"{s3.anonymous_uri}/data", upload


def source_of(uri, max_bytes=MAX_BYTES, **spec):
    return open_source(ParquetSource(kind="parquet", uri=uri, **spec), Limits(10**9, max_bytes))


def numbered(count, first=0, size=100):
    return [f"{number}:".encode().ljust(size, b"x") for number in range(first, first + count)]


def test_each_row_of_each_file_is_an_image(root):
    uri, write = root
    write("b/2.parquet", pa.table({"image": numbered(30, 70)}), row_group_size=7)
    write("a 1#%?.pq", pa.table({"image": numbered(70)}), row_group_size=20)
    write("_temporary/0.parquet", pa.table({"other": [1]}))
    write("notes.txt", pa.table({"other": [1]}))
    source = source_of(uri)

    rows = rows_of(source)

    named = as_rows_name_it(uri)
    expected = [f"{named}/a 1#%?.pq#{row}" for row in range(70)] + [f"{named}/b/2.parquet#{row}" for row in range(30)]
    assert rows["uri"].to_pylist() == expected
    assert rows["offset"].to_pylist() == [*range(70), *range(30)]
    assert rows["size"].null_count == 100
    assert rows["expected"].null_count == 100
    assert [handle() for handle in source.read(rows)] == numbered(100)


def test_kept_columns_arrive_unchanged(root):
    uri, write = root
    kept = pa.table(
        {
            "int8": pa.array([1, None, -3], pa.int8()),
            "text": pa.array(["a", None, "ü\n"], pa.large_string()),
            "view": pa.array(["a", None, "c"], pa.string_view()),
            "decimal": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-7.00")], pa.decimal128(9, 2)),
            "when": pa.array([1, None, 3], pa.timestamp("us", "Europe/Paris")),
            "took": pa.array([1, None, 3], pa.duration("ns")),
            "class": pa.array(["x", None, "x"]).dictionary_encode(),
            "nested": pa.array([{"a": [1, 2], "b": {"c": "d"}}, None, {"a": [], "b": None}]),
            "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int32())),
            "embedding": pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2)),
            "id": pa.array([b"0" * 16, None, b"1" * 16], pa.uuid()),
            "raw": pa.array([b"\x00\xff", None, b""], pa.binary()),
            "dotted.name": pa.array([1, 2, 3], pa.int64()),
            "dotted": pa.array([{"name": 1}, {"name": 2}, None]),
            "required": pa.array([1, 2, 3], pa.uint16()),
        }
    )
    schema = kept.schema.set(14, pa.field("required", pa.uint16(), nullable=False))
    kept = kept.cast(schema)
    write("a.parquet", kept.append_column("image", [numbered(3)]), row_group_size=2)
    write("b.parquet", kept.append_column("image", [numbered(3)]))

    rows = rows_of(source_of(uri, keep=kept.column_names))

    assert rows.column_names == ["uri", "size", "etag", "expected", "offset", *kept.column_names]
    for name in kept.column_names:
        assert rows.schema.field(name).type == kept.schema.field(name).type
        assert rows[name].to_pylist() == kept[name].to_pylist() * 2


def test_the_label_and_the_uri_can_be_kept_too(tmp_path):
    table = pa.table({"url": ["/a.jpg", "/b.jpg", "/c.jpg"], "kind": [2, None, 0], "sku": ["x", "y", "z"]})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=2)
    kept = ["sku", "kind", "url"]

    rows = rows_of(source_of(str(tmp_path), uri_column="url", label_from="kind", keep=kept))

    assert rows.column_names == ["uri", "size", "etag", "expected", *kept]
    assert rows.select(kept).to_pydict() == table.select(kept).to_pydict()
    assert rows["uri"].to_pylist() == table["url"].to_pylist()
    assert rows["expected"].to_pylist() == ["2", None, "0"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([0, 2, None]), ["0", "2", None]),
        (pa.array(["cat", None, "dog"]), ["cat", None, "dog"]),
        (pa.array(["cat", None, "dog"]).dictionary_encode(), ["cat", None, "dog"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([1.0, float("nan"), None]), ["1", None, None]),
        (pa.array([2.0, 2.5, float("nan")], pa.float16()), ["2", "2.5", None]),
        (pa.array([3.0, float("nan"), 3.0], pa.float32()).dictionary_encode(), ["3", None, "3"]),
        (pa.array([decimal.Decimal("4.00"), decimal.Decimal("4.10"), None]), ["4", "4.10", None]),
        (pa.array(["", "\ufeffcat", " \t"]), [None, "cat", None]),
        (pa.array(["", "dog", None]).dictionary_encode(), [None, "dog", None]),
        (pa.array(["1.0", "-1", "NaN"], pa.large_string()), ["1.0", "-1", "NaN"]),
        (pa.array([b"cat", None, b""]), ["cat", None, None]),
        (pa.array([-1, 0, 1]), ["-1", "0", "1"]),
    ],
)
def test_labels_become_text(tmp_path, labels, expected):
    pq.write_table(pa.table({"image": numbered(3), "label": labels}), tmp_path / "x.parquet")

    assert rows_of(source_of(str(tmp_path), label_from="label"))["expected"].to_pylist() == expected


@pytest.mark.parametrize(
    "labels", [pa.nulls(3), pa.array([float("nan")] * 3), pa.array(["", " ", None]), pa.array([None] * 3, pa.int64())]
)
def test_a_column_without_any_label_is_an_error(tmp_path, labels):
    pq.write_table(pa.table({"image": numbered(3), "label": labels}), tmp_path / "x.parquet")

    with pytest.raises(SourceError, match=r"source\.label_from: 'label' has no label in any of 3 rows"):
        rows_of(source_of(str(tmp_path), label_from="label"))


def test_labels_that_are_no_text_are_named(tmp_path):
    pq.write_table(pa.table({"image": numbered(1), "label": [b"\xff"]}), tmp_path / "x.parquet")

    with pytest.raises(SourceError, match=r"source\.label_from: 'label' of .*x\.parquet cannot be read as text"):
        rows_of(source_of(str(tmp_path), label_from="label"))


def test_class_labels_without_a_class_are_none_and_counted(tmp_path, caplog):
    features = {"label": {"names": ["tench", "springer"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    table = pa.table({"image": numbered(4), "label": [1, -1, 0, -1]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "x.parquet")

    assert rows_of(source_of(str(tmp_path), label_from="label"))["expected"].to_pylist() == [
        "springer",
        None,
        "tench",
        None,
    ]
    assert (
        f"2 of 4 images have no label from source.label_from: label; the first is {tmp_path}/x.parquet#1" in caplog.text
    )


def test_class_labels_of_hugging_face_have_their_names(tmp_path):
    features = {"label": {"names": ["tench", "springer"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    table = pa.table({"image": [{"bytes": data, "path": "x.jpg"} for data in numbered(3)], "label": [1, 0, 7]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "x.parquet")
    (tmp_path / "names.json").write_text('["a", "b"]')
    source = source_of(str(tmp_path / "x.parquet"), label_from="label")

    rows = rows_of(source)

    assert rows["expected"].to_pylist() == ["springer", "tench", "7"]
    assert [handle() for handle in source.read(rows)] == numbered(3)
    renamed = source_of(str(tmp_path / "x.parquet"), label_from="label", label_names=str(tmp_path / "names.json"))
    assert rows_of(renamed)["expected"].to_pylist() == ["b", "a", "7"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_each_bad_row_is_a_kind_of_its_own(root, kind):
    uri, write = root
    images = [b"good", None, b"", b"x" * (MAX_BYTES + 1), b"good"]
    write("x.parquet", pa.table({"image": pa.array(images, kind)}))
    source = source_of(uri)

    found = [outcome(handle) for handle in source.read(rows_of(source))]

    assert found == [b"good", "missing", "empty", "too-large", b"good"]


def test_rows_without_bytes_in_a_struct_are_missing(tmp_path):
    images = [{"bytes": b"x", "path": None}, None, {"bytes": None, "path": "x.jpg"}]
    pq.write_table(pa.table({"photo": images}), tmp_path / "x.parquet")
    source = source_of(str(tmp_path), image_column="photo")

    assert [outcome(handle) for handle in source.read(rows_of(source))] == [b"x", "missing", "missing"]


def test_a_file_that_went_or_changed_is_said_so(s3):
    for name in ("a", "b", "c"):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"image": numbered(2)}), sink)
        s3.put(f"{name}.parquet", sink.getvalue().to_pybytes())
    source = source_of(s3.uri)
    rows = rows_of(source)
    s3.delete("a.parquet")
    s3.put("b.parquet", b"another")

    found = [outcome(handle) for handle in source.read(rows)]

    assert found == ["missing", "missing", "changed", "changed", *numbered(2)]


def test_reading_outlasts_a_store_that_fails_for_a_while(flaky, s3):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": numbered(60, size=3_000), "n": list(range(60))}), sink, row_group_size=20)
    s3.put("x.parquet", sink.getvalue().to_pybytes())
    source = source_of(s3.uri, label_from="n")
    flaky.fail(503, "cut", "reset")
    rows = rows_of(source)
    flaky.fail("cut", 500, "reset")

    assert rows["expected"].to_pylist() == [str(number) for number in range(60)]
    assert [handle() for handle in source.read(rows)] == numbered(60, size=3_000)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, r"source\.image_column: .*x\.parquet has no column 'image'; its columns are picture, label, words, deep"),
        ({"image_column": "words"}, r"source\.image_column: 'words' must hold bytes .* not string"),
        ({"image_column": "deep"}, r"source\.image_column: 'deep' must hold bytes"),
        ({"uri_column": "label"}, r"source\.uri_column: 'label' must hold text, not int64"),
        ({"uri_column": "url"}, r"source\.uri_column: .* no column 'url'; its columns are"),
        (
            {"image_column": "picture", "label_from": "lable"},
            r"source\.label_from: .* no column 'lable'; its columns are",
        ),
        ({"image_column": "picture", "label_from": "deep"}, r"source\.label_from: 'deep' must hold texts or numbers"),
        ({"image_column": "picture", "keep": ["sku"]}, r"source\.keep: .* no column 'sku'; its columns are"),
    ],
)
def test_a_wrong_column_is_named_with_those_there_are(tmp_path, spec, text):
    table = pa.table({"picture": [b"x"], "label": [1], "words": ["x"], "deep": [{"a": 1}]})
    pq.write_table(table, tmp_path / "x.parquet")

    with pytest.raises(SourceError, match=text):
        rows_of(source_of(str(tmp_path), **spec))


def test_files_that_differ_are_both_named(root):
    uri, write = root
    write("a.parquet", pa.table({"image": [b"x"], "price": [1]}))
    write("b.parquet", pa.table({"image": [b"x"], "price": ["1"]}))

    with pytest.raises(SourceError, match=r"'price' is int64 in .*a\.parquet and string in .*b\.parquet"):
        rows_of(source_of(uri, keep=["price"]))


@pytest.mark.parametrize("data", [b"", b"no parquet at all", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_what_is_no_parquet_is_named(s3, tmp_path, data):
    (tmp_path / "x.parquet").write_bytes(data)
    s3.put("x.parquet", data)

    for uri in (str(tmp_path), s3.uri):
        with pytest.raises(SourceError, match=r"x\.parquet: not a Parquet file"):
            rows_of(source_of(uri))


def test_no_rows_and_no_files_are_errors(root):
    uri, write = root
    with pytest.raises(SourceError, match="nothing at"):
        rows_of(source_of(uri))

    write("notes.txt", pa.table({"image": [b"x"]}))
    with pytest.raises(SourceError, match=r"none of the 1 objects .* ends with \.parquet or \.parq or \.pq"):
        rows_of(source_of(uri))

    write("x.parquet", pa.table({"image": pa.array([], pa.binary())}))
    with pytest.raises(SourceError, match="no rows in 1 Parquet files"):
        rows_of(source_of(uri))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("x.parquet", ["x"]),
        ("*.parquet", ["x", "y"]),
        ("?.parquet", ["x", "y"]),
        ("d/*.parquet", ["d/z"]),
        ("**/*.parquet", ["d/e/w", "d/z", "x", "y"]),
        ("d/**", ["d/e/w", "d/z"]),
        ("*/z.par*", ["d/z"]),
        ("", ["d/e/w", "d/z", "x", "y"]),
    ],
)
def test_a_file_a_folder_or_a_glob(root, pattern, found):
    uri, write = root
    for name in ["x", "y", "d/z", "d/e/w", "_x", ".hidden/v"]:
        write(f"{name}.parquet", pa.table({"image": [name.encode()]}))
    source = source_of(f"{uri}/{pattern}")

    rows = rows_of(source)

    assert rows["uri"].to_pylist() == [f"{as_rows_name_it(uri)}/{name}.parquet#0" for name in found]
    assert [handle() for handle in source.read(rows)] == [name.encode() for name in found]


def test_uris_of_a_column_are_read_wherever_they_point(s3, tmp_path):
    s3.put("img/a b#.jpg", b"bucket")
    s3.put("sets/one/near.jpg", b"near")
    s3.put("sets/up.jpg", b"up")
    s3.put("sets/one/big.jpg", b"x" * (MAX_BYTES + 1))
    s3.put("sets/one/zero.jpg", b"")
    (tmp_path / "local.jpg").write_bytes(b"local")
    (tmp_path / "a b.jpg").write_bytes(b"spaced")
    urls = [
        f"{s3.uri}/img/a b#.jpg",
        str(tmp_path / "local.jpg"),
        "near.jpg",
        "../up.jpg",
        None,
        "  ",
        f"{s3.anonymous_uri}/img/a b#.jpg",
        f"s3a://{s3.name}/img/a%20b#.jpg",
        f"{tmp_path.as_uri()}/a%20b.jpg",
        f"file:{tmp_path}/local.jpg",
        "gone%20.jpg",
        "gone.jpg",
        "big.jpg",
        "zero.jpg",
        "near.jpg",
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"url": urls, "sku": list(range(len(urls)))}), sink)
    s3.put("sets/one/x.parquet", sink.getvalue().to_pybytes())
    source = source_of(f"{s3.uri}/sets/one/x.parquet", uri_column="url", keep=["sku"])

    rows = rows_of(source)

    assert rows["sku"].to_pylist() == list(range(len(urls)))
    assert [uri for uri in rows["uri"].to_pylist() if "://" in uri and "/sets/" not in uri] == [
        url for url in urls if url and "://" in url
    ]
    assert "offset" not in rows.column_names
    assert [outcome(handle) for handle in source.read(rows)] == [
        b"bucket",
        b"local",
        b"near",
        b"up",
        "missing",
        "missing",
        b"bucket",
        b"bucket",
        b"spaced",
        b"local",
        "missing",
        "missing",
        "too-large",
        "empty",
        b"near",
    ]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.invalid/x.jpg", "unknown scheme https://"),
        ("https://b.s3.amazonaws.com/x%20y.jpg", "it is s3://b/x y.jpg"),
        ("hdfs:/x.jpg", "unknown scheme hdfs:"),
        ("data:image/png;base64,iVBOR", "data: URIs are not read"),
        ("s3://", "names no bucket"),
        ("s3://key:secret@b/x.jpg", "only anonymous@"),
        ("s3:/b/x.jpg", "two slashes"),
        ("gs://bucket", "it names a bucket and no object"),
        ("x.tar", "x\\.tar' is read with source\\.kind: webdataset"),
    ],
)
def test_a_uri_of_no_store_is_refused_while_planning_with_its_row(tmp_path, url, said):
    urls = [*(f"{number}.jpg" for number in range(12_000)), url]
    pq.write_table(pa.table({"url": urls}), tmp_path / "x.parquet", row_group_size=5_000)

    with pytest.raises(SourceError, match=rf"source\.uri_column: .*x\.parquet, row 12,000: .*{said}") as refused:
        rows_of(source_of(str(tmp_path), uri_column="url"))
    assert "secret" not in str(refused.value)


def test_a_key_with_a_percent_sign_is_that_key_before_it_is_an_escape(s3, tmp_path):
    s3.put("a%20b.jpg", b"literal")
    s3.put("a b.jpg", b"spaced")
    s3.put("only%2Bhere.jpg", b"literal")
    s3.put("c d.jpg", b"spaced")
    urls = [f"{s3.uri}/a%20b.jpg", f"{s3.uri}/only%2Bhere.jpg", f"s3a://{s3.name}/c%20d.jpg"]
    pq.write_table(pa.table({"url": urls}), tmp_path / "x.parquet")
    source = source_of(str(tmp_path), uri_column="url")

    assert [outcome(handle) for handle in source.read(rows_of(source))] == [b"literal", b"literal", b"spaced"]


def test_relative_uris_of_a_local_file_are_beside_it(tmp_path):
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "a.jpg").write_bytes(b"a")
    (tmp_path / "b.jpg").write_bytes(b"b")
    pq.write_table(pa.table({"url": ["a.jpg", "./a.jpg", "../b.jpg", "~x"]}), tmp_path / "sets" / "x.parquet")
    source = source_of(str(tmp_path / "sets"), uri_column="url")

    rows = rows_of(source)

    assert rows["uri"].to_pylist() == [
        f"{tmp_path}/{name}" for name in ("sets/a.jpg", "sets/a.jpg", "b.jpg", "sets/~x")
    ]
    assert [outcome(handle) for handle in source.read(rows)] == [b"a", b"a", b"b", "missing"]


def test_listing_reads_no_images(flaky, s3):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": [bytes([n]) * 200_000 for n in range(20)], "n": list(range(20))}), sink)
    s3.put("x.parquet", sink.getvalue().to_pybytes())
    source = source_of(f"{s3.uri}/x.parquet", label_from="n")
    flaky.sent = 0

    rows = rows_of(source)

    assert rows.num_rows == 20
    assert flaky.sent < 400_000


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_rows_of_any_row_groups_are_read_as_they_are(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("parquet")
    images = {}
    for number in range(data.draw(st.integers(1, 3))):
        count = data.draw(st.integers(1, 60))
        column = data.draw(st.lists(st.one_of(st.none(), st.binary(max_size=20)), min_size=count, max_size=count))
        path = root / f"{number}.parquet"
        options = {
            "row_group_size": data.draw(st.integers(1, 70)),
            "data_page_size": data.draw(st.sampled_from([1, 1 << 20])),
        }
        pq.write_table(pa.table({"image": pa.array(column, pa.binary())}), path, **options)
        images |= {f"{path}#{row}": value for row, value in enumerate(column)}
    source = source_of(str(root))
    rows = rows_of(source)
    assert rows["uri"].to_pylist() == list(images)

    chosen = rows.take(data.draw(st.lists(st.integers(0, rows.num_rows - 1), min_size=1, max_size=60)))

    expected = [images[uri] for uri in chosen["uri"].to_pylist()]
    found = [outcome(handle) for handle in source.read(chosen)]
    assert found == ["missing" if value is None else value or "empty" for value in expected]
