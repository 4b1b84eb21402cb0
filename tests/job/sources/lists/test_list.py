"""Lists of URIs as people and stores write them: lines, CSV, JSON Lines, imagefolder's metadata, inventories."""

import bz2
import csv
import gzip
import io
import json
import re

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import orc
from sources import outcome, rows_of

from job.errors import SourceError
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import ListSource
from job.stores.folder import ROWS_PER_TABLE


def source_of(uri, **spec):
    return open_source(ListSource(kind="list", uri=str(uri), **spec), Limits(10**9, 1_000_000))


def images_of(source):
    return [outcome(handle) for handle in source.read(rows_of(source))]


def left_out_of(source):
    return {each.kind: each.count for each in source.left_out}


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path):
    """The URI of a place, and a function that writes bytes there."""
    if request.param == "s3":
        bucket = request.getfixturevalue("s3")
        return f"{bucket.uri}/in", lambda key, data: bucket.put(f"in/{key}", data)

    def write(key, data):
        path = tmp_path / "in" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    return f"{tmp_path}/in", write


@pytest.mark.parametrize(
    "pack", [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress)], ids=lambda pack: pack[0]
)
def test_a_line_is_a_uri(root, pack):
    uri, write = root
    far = write("far/a b#%41.jpg", b"far")
    write("sets/near.jpg", b"near")
    write("up.jpg", b"up")
    text = f"\ufeff{far}\r\nnear.jpg\n../up.jpg\n\n   \ngone.jpg\nnear.jpg"
    ending, packed = pack
    write(f"sets/all.txt{ending}", packed(text.encode()))
    source = source_of(f"{uri}/sets/all.txt{ending}")
    rows = rows_of(source)
    assert rows["uri"].to_pylist() == [
        far,
        f"{uri}/sets/near.jpg",
        f"{uri}/up.jpg",
        f"{uri}/sets/gone.jpg",
        f"{uri}/sets/near.jpg",
    ]
    assert images_of(source) == [b"far", b"near", b"up", "missing", b"near"]
    assert left_out_of(source) == {"empty lines": 2}
    assert rows_of(source_of(f"{uri}/sets/all.txt{ending}", label_from="directory"))["expected"].to_pylist() == [
        "far",
        "sets",
        "in",
        "sets",
        "sets",
    ]


def test_suffixes_take_some_of_a_list_and_count_the_others(tmp_path):
    (tmp_path / "all.txt").write_text("a.JPG\nnotes.txt\nb.png\nLICENSE\nc.tar\n")
    source = source_of(tmp_path / "all.txt", suffixes=[".jpg", ".png"])
    assert [uri.rpartition("/")[2] for uri in rows_of(source)["uri"].to_pylist()] == ["a.JPG", "b.png"]
    assert left_out_of(source) == {
        "names that end with .txt": 1,
        "names without a suffix": 1,
        "names that end with .tar": 1,
    }


ROWS = [
    {"url": "a.jpg", "class": 'tench, "fish"', "sku": "007", "note": "two\nlines"},
    {"url": "b c#%.jpg", "class": None, "sku": None, "note": "ü"},
    {"url": "", "class": "dog", "sku": "9", "note": None},
]


def with_pandas(path, delimiter):
    pd.DataFrame(ROWS).to_csv(path, index=False, sep=delimiter)


def with_polars(path, delimiter):
    pl.DataFrame(ROWS).write_csv(path, separator=delimiter)


def with_excel(path, delimiter):
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, [*ROWS[0]], delimiter=delimiter, dialect="excel")
        writer.writeheader()
        writer.writerows(ROWS)


@pytest.mark.parametrize("write", [with_pandas, with_polars, with_excel])
@pytest.mark.parametrize(("name", "delimiter"), [("x.csv", ","), ("x.csv", ";"), ("x.tsv", "\t"), ("x.csv", "|")])
def test_a_csv_has_uris_labels_and_kept_columns(tmp_path, write, name, delimiter):
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "b c#%.jpg").write_bytes(b"b")
    write(tmp_path / name, delimiter)
    source = source_of(tmp_path / name, label_from="class", keep=["note", "sku"])
    rows = rows_of(source)
    assert rows.column_names == ["uri", "size", "etag", "expected", "note", "sku"]
    for column, kept in (("expected", "class"), ("sku", "sku"), ("note", "note")):
        assert rows[column].to_pylist() == [row[kept] for row in ROWS]
    assert images_of(source) == [b"a", b"b", "missing"]


@pytest.mark.parametrize(
    ("data", "spec", "text"),
    [
        (
            "image_url,label\n",
            {},
            "x.csv has no column named file_name, uri, url, path; name the one.*: image_url, label",
        ),
        (
            "url,label\n",
            {"uri_column": "uri"},
            r"uri_column: .*no column 'uri'; its columns are url, label; did you mean url",
        ),
        (
            "url,label\n",
            {"label_from": "lable"},
            r"label_from: .*no column 'lable'; its columns .*; did you mean label",
        ),
        ("url,label\n", {"keep": ["sku"]}, r"source\.keep: .*no column 'sku'"),
        ("url,url,x\n", {"uri_column": "url"}, "more than one column 'url'"),
        ("s3://b/a.jpg\ns3://b/c.jpg\n", {}, "has no header, for its first line has 's3://b/a.jpg'"),
        ("cats/a.jpg,cat\n", {}, "has no header, for its first line has 'cats/a.jpg'"),
        ("url,label\na.jpg,1,2\n", {}, r"cannot be read: .*Expected 2 columns, got 3"),
        ("url,label\n", {}, "x.csv names no images"),
        ("url,label\na.jpg,\nb.jpg,\n", {"label_from": "label"}, "no row of .*x.csv has a value for 'label'"),
    ],
)
def test_a_csv_that_is_not_as_the_spec_says_is_refused(tmp_path, data, spec, text):
    (tmp_path / "x.csv").write_text(data)
    with pytest.raises(SourceError, match=text):
        rows_of(source_of(tmp_path / "x.csv", **spec))


def test_a_csv_of_one_column_needs_no_known_name(tmp_path):
    (tmp_path / "x.csv").write_text("picture\na.jpg\n")
    assert rows_of(source_of(tmp_path / "x.csv"))["uri"].to_pylist() == [f"{tmp_path}/a.jpg"]


def test_bytes_that_are_not_utf8_are_refused(tmp_path):
    for name, data in (
        ("x.txt", b"a\xff.jpg\n"),
        ("x.csv", b"url,a\na\xff.jpg,1\n"),
        ("x.jsonl", b'{"url": "\xff"}\n'),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceError, match=rf"{name} cannot be read: .*(utf-8|UTF8)"):
            rows_of(source_of(tmp_path / name))


def test_json_lines_have_uris_labels_and_kept_keys(root):
    uri, write = root
    write("a.jpg", b"a")
    objects = [
        {"image": {"url": "a.jpg"}, "label": 3, "price": 1, "tags": ["x"], "odd": 1, "a.b": 1},
        {"image": {"url": None}, "label": "cat", "price": None, "odd": "two"},
        {"image": None, "label": None, "price": 2.5, "tags": [], "odd": {"z": 1}, "a": {"b": 2}},
        {"label": True},
    ]
    write("x.jsonl.gz", gzip.compress("\n".join(map(json.dumps, objects)).encode()))
    keep = ["price", "tags", "odd", "a.b"]
    source = source_of(f"{uri}/x.jsonl.gz", uri_column="image.url", label_from="label", keep=keep)
    rows = rows_of(source)
    assert rows["expected"].to_pylist() == ["3", "cat", None, "true"]
    assert rows.schema.field("price").type == pa.float64()
    assert rows.select(keep).to_pydict() == {
        "price": [1.0, None, 2.5, None],
        "tags": [["x"], None, [], None],
        "odd": ["1", "two", '{"z": 1}', None],
        "a.b": [1, None, 2, None],
    }
    assert images_of(source) == [b"a", "missing", "missing", "missing"]


@pytest.mark.parametrize(
    ("data", "spec", "text"),
    [
        ('{"url": "a"}\n\n{"url": ', {}, r"x\.jsonl, line 3 is no JSON"),
        ('{"url": "a"}\n["b"]\n', {}, r"line 2 is no JSON object: \[\"b\"\]"),
        ('{"url": "a"}\n{"url": 7}\n', {}, "line 2: 'url' must be a text, not 7"),
        ('{"src": "a", "label": 1}\n', {}, "has no column named file_name, uri, url, path; .*: src, label"),
        ('{"url": "a", "label": 1}\n', {"label_from": "lable"}, "no row of .* has a value for 'lable'"),
        ('{"url": "a", "label": 1}\n', {"keep": ["sku"]}, r"source\.keep: no object in the list has a value for 'sku'"),
        ('{"url": "a", "label": [1]}\n', {"label_from": "label"}, "'label' must hold texts or numbers, not lists"),
        ("", {}, "names no images|has no column"),
    ],
)
def test_json_lines_that_are_not_as_the_spec_says_are_refused(tmp_path, data, spec, text):
    (tmp_path / "x.jsonl").write_text(data)
    with pytest.raises(SourceError, match=text):
        rows_of(source_of(tmp_path / "x.jsonl", **spec))


def test_metadata_of_an_imagefolder_is_found_in_it(tmp_path):
    """As `datasets` wants it: in each split a file, whose names are relative to it."""
    for split, name in (("train", "metadata.jsonl"), ("test", "metadata.jsonl")):
        folder = tmp_path / split
        (folder / "sub").mkdir(parents=True)
        rows = [{"file_name": "sub/1.png", "text": f"{split} 1"}, {"file_name": "2.png", "text": f"{split} 2"}]
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        for row in rows:
            (folder / row["file_name"]).write_bytes(row["text"].encode())
    source = source_of(tmp_path, label_from="text")
    assert images_of(source) == [b"test 1", b"test 2", b"train 1", b"train 2"]
    assert rows_of(source)["expected"].to_pylist() == ["test 1", "test 2", "train 1", "train 2"]
    assert source.left_out == ()
    pd.read_json(tmp_path / "train" / "metadata.jsonl", lines=True).to_csv(
        tmp_path / "train" / "metadata.csv", index=False
    )
    assert images_of(source_of(tmp_path / "train" / "metadata.csv")) == [b"train 1", b"train 2"]
    assert len(images_of(source_of(tmp_path / "**" / "metadata.*"))) == 6


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("https://example.invalid/a.jpg", r"'https://example\.invalid/a\.jpg': unknown scheme https://"),
        ("hdfs://host/a.jpg", r"'hdfs://host/a\.jpg': unknown scheme hdfs://"),
        ("s3://bucket", "'s3://bucket': it names a bucket and no object"),
        ("gs://bucket/", "'gs://bucket/': it names a bucket and no object"),
        ("s3:///a.jpg", "names no bucket"),
        ("shards/000.tar", r"shards/000\.tar' is read with source\.kind: webdataset"),
        ("s3://b/data.parquet", r"s3://b/data\.parquet' is read with source\.kind: parquet"),
    ],
)
def test_what_can_be_no_image_is_refused_with_its_line(tmp_path, line, why):
    good = ["s3://b/x.jpg", "x.jpg", "/abs/x.jpg"]
    (tmp_path / "x.txt").write_text("\n".join([*good, "", line, *good, "ftp://later"]))
    with pytest.raises(SourceError, match=rf"x\.txt, line 5: .*{why}"):
        rows_of(source_of(tmp_path / "x.txt"))
    (tmp_path / "x.csv").write_text("note,url\n" + "".join(f'"a\nb",{each}\n' for each in [*good, line, *good]))
    with pytest.raises(SourceError, match=rf"x\.csv, line 9: .*{why}"):
        rows_of(source_of(tmp_path / "x.csv"))


def test_lines_have_no_columns(tmp_path):
    (tmp_path / "x.txt").write_text("a.jpg\n")
    for key, value in (("label_from", "label"), ("keep", ["sku"]), ("uri_column", "url")):
        with pytest.raises(
            SourceError, match=rf"source\.{key}: .*x\.txt is a list of lines, which has no columns for it"
        ):
            rows_of(source_of(tmp_path / "x.txt", **{key: value}))


def test_a_long_list_comes_in_tables_of_bounded_length(tmp_path):
    count = 2 * ROWS_PER_TABLE + 5
    names = [f"{number}.jpg" for number in range(count)]
    (tmp_path / "x.txt").write_text("\n".join(names))
    pl.DataFrame({"url": names, "n": range(count)}).write_csv(tmp_path / "x.csv")
    pl.DataFrame({"url": names, "n": range(count)}).write_ndjson(tmp_path / "x.jsonl")
    for name, spec in (("x.txt", {}), ("x.csv", {"keep": ["n"]}), ("x.jsonl", {"keep": ["n"]})):
        tables = list(source_of(tmp_path / name, **spec).list())
        assert max(table.num_rows for table in tables) <= ROWS_PER_TABLE
        rows = pa.concat_tables(tables)
        assert rows["uri"].to_pylist() == [f"{tmp_path}/{name}" for name in names]
        if spec:
            assert [int(n) for n in rows["n"].to_pylist()] == [*range(count)]
    assert rows_of(source_of(tmp_path / "x.csv", limit=3)).num_rows == 3


CSV_SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass"
OBJECTS = {"in/a b+c%ü.jpg": b"one", "in/d/e.PNG": b"three", "in/notes.txt": b"no image", "in/folder/": b""}


def s3_rows(s3):
    """The rows of an inventory of all versions: the objects, an earlier one, one that is deleted."""
    for key, data in OBJECTS.items():
        s3.put(key, data)
    listed = {each["Key"]: each for each in s3.client.list_objects_v2(Bucket=s3.name)["Contents"]}
    rows = [
        (s3.name, key, f"v{n}", True, False, listed[key]["Size"], listed[key]["ETag"].strip('"'))
        for n, key in enumerate(OBJECTS)
    ]
    old = (s3.name, "in/a b+c%ü.jpg", "v0", False, False, 3, "0" * 32)
    deleted = [
        (s3.name, "in/gone.jpg", "v9", True, True, None, None),
        (s3.name, "in/gone.jpg", "v8", False, False, 2, "x"),
    ]
    return [rows[0], old, *rows[1:], *deleted]


def write_s3_inventory(s3, kind):
    """As S3 does, in another bucket below a prefix; two data files."""
    from urllib.parse import quote_plus

    rows = s3_rows(s3)
    schema = CSV_SCHEMA
    files = []
    for number, part in enumerate((rows[:3], rows[3:])):
        key = f"inv/{s3.name}/daily/data/{number}.{'csv.gz' if kind == 'CSV' else kind.lower()}"
        if kind == "CSV":
            text = io.StringIO()
            writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
            for bucket, name, version, latest, marker, size, etag in part:
                flags = [str(latest).lower(), str(marker).lower()]
                size = "" if size is None else size
                writer.writerow(
                    [
                        bucket,
                        quote_plus(name, safe="/"),
                        version,
                        *flags,
                        size,
                        "2026-01-01T00:00:00Z",
                        etag or "",
                        "STANDARD",
                    ]
                )
            data = gzip.compress(text.getvalue().encode())
        else:
            names = ["bucket", "key", "version_id", "is_latest", "is_delete_marker", "size", "e_tag"]
            table = pa.table([pa.array(column) for column in zip(*part, strict=True)], names)
            sink = io.BytesIO()
            (pq if kind == "Parquet" else orc).write_table(table, sink)
            data = sink.getvalue()
            schema = "message s3.inventory { … }"
        s3.put(key, data)
        files.append({"key": key, "size": len(data), "MD5checksum": "0" * 32})
    manifest = {
        "sourceBucket": s3.name,
        "destinationBucket": f"arn:aws:s3:::{s3.name}",
        "version": "2016-11-30",
        "creationTimestamp": "1514944800000",
        "fileFormat": kind,
        "fileSchema": schema,
        "files": files,
    }
    s3.put(f"inv/{s3.name}/daily/2026-01-01T00-00Z/manifest.json", json.dumps(manifest).encode())
    return f"inv/{s3.name}/daily/2026-01-01T00-00Z/manifest.json"


@pytest.mark.parametrize("kind", ["CSV", "Parquet", "ORC"])
@pytest.mark.parametrize("anonymous", [False, True])
def test_an_s3_inventory_is_a_source(s3, kind, anonymous):
    key = write_s3_inventory(s3, kind)
    root = s3.anonymous_uri if anonymous else s3.uri
    source = source_of(f"{root}/{key}", label_from="directory")
    rows = rows_of(source)
    assert rows["uri"].to_pylist() == [f"{s3.uri}/in/a b+c%ü.jpg", f"{s3.uri}/in/d/e.PNG"]
    assert rows["size"].to_pylist() == [3, 5]
    assert rows["expected"].to_pylist() == ["in", "d"]
    assert images_of(source) == [b"one", b"three"]
    assert left_out_of(source) == {
        "earlier versions of objects": 2,
        "delete markers": 1,
        "names that end with .txt": 1,
        "names without a suffix": 1,
    }
    # What was replaced since is not taken for what was listed.
    s3.put("in/d/e.PNG", b"other")
    assert images_of(source) == [b"one", "changed"]
    assert rows_of(source_of(f"{root}/{key}", suffixes=[".txt"]))["uri"].to_pylist() == [f"{s3.uri}/in/notes.txt"]


def test_an_s3_inventory_may_lie_on_this_machine(s3, tmp_path):
    key = write_s3_inventory(s3, "CSV")
    (tmp_path / "data").mkdir()
    for number in (0, 1):
        data = s3.get(f"inv/{s3.name}/daily/data/{number}.csv.gz")
        (tmp_path / "data" / f"{number}.csv.gz").write_bytes(data)
        s3.delete(f"inv/{s3.name}/daily/data/{number}.csv.gz")
    (tmp_path / "today").mkdir()
    (tmp_path / "today" / "manifest.json").write_bytes(s3.get(key))
    assert images_of(source_of(tmp_path / "today" / "manifest.json")) == [b"one", b"three"]
    (tmp_path / "data" / "1.csv.gz").unlink()
    with pytest.raises(SourceError, match=r"manifest\.json names s3://.*/data/1\.csv\.gz, and there is nothing"):
        rows_of(source_of(tmp_path / "today" / "manifest.json"))


def google_shards(kind, has_header=True, delimiter=","):
    """As Storage Insights writes them; the etag there is of another API than the one that objects are read with."""
    fields = ["project", "bucket", "name", "size", "etag", "timeDeleted"]
    rows = [
        ["p", "photos", "a, b/ü%20+.jpg", 3, "CJ7Q=", None],
        ["p", "photos", "c.png", 4, "CJ8Q=", None],
        ["p", "photos", "c.png", 4, "CJ8Q=", "2026-01-01T00:00:00Z"],
        ["p", "photos", "notes.txt", 5, "CJ9Q=", None],
    ]
    sink = io.BytesIO()
    if kind == "parquet":
        pq.write_table(pa.table([pa.array(column) for column in zip(*rows, strict=True)], fields), sink)
        return fields, sink.getvalue()
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([fields, *rows] if has_header else rows)
    return fields, text.getvalue().encode()


@pytest.mark.parametrize(
    ("kind", "has_header", "delimiter"), [("csv", True, ","), ("csv", False, "|"), ("parquet", False, ",")]
)
def test_an_inventory_report_of_google_is_a_source(root, kind, has_header, delimiter):
    uri, write = root
    fields, data = google_shards(kind, has_header, delimiter)
    name = f"fc95c52f_2026-01-01T00:00_0.{kind}"
    write(f"reports/{name}", data)
    manifest = {
        "report_config": {
            "csvOptions": {"recordSeparator": "\n", "delimiter": delimiter, "headerRequired": has_header},
            "objectMetadataReportOptions": {"metadataFields": fields, "storageFilters": {"bucket": "photos"}},
        },
        "records_processed": 4,
        "snapshot_time": "2026-01-01T00:00:00Z",
        "shard_count": 1,
        "report_shards_file_names": [name],
    }
    write("reports/fc95c52f_2026-01-01T00:00_manifest.json", json.dumps(manifest).encode())
    source = source_of(f"{uri}/reports/fc95c52f_2026-01-01T00:00_manifest.json")
    rows = rows_of(source)
    assert rows["uri"].to_pylist() == ["gs://photos/a, b/ü%20+.jpg", "gs://photos/c.png"]
    assert rows["size"].to_pylist() == [3, 4]
    assert rows["etag"].to_pylist() == [None, None]
    assert left_out_of(source) == {"earlier versions of objects": 1, "names that end with .txt": 1}


def test_a_shard_of_google_is_known_by_its_header(tmp_path):
    (tmp_path / "x.csv").write_bytes(google_shards("csv")[1])
    assert rows_of(source_of(tmp_path / "x.csv"))["uri"].to_pylist()[1:] == ["gs://photos/c.png"]
    assert rows_of(source_of(tmp_path / "x.csv", uri_column="name", suffixes=[".png"])).num_rows == 2


def test_an_inventory_has_no_columns_and_other_json_is_none(s3, tmp_path):
    key = write_s3_inventory(s3, "Parquet")
    with pytest.raises(SourceError, match=r"source\.keep: .* is an inventory, which has no columns for it"):
        rows_of(source_of(f"{s3.uri}/{key}", keep=["size_class"]))
    for text, why in (("[1, 2]", "no manifest of an inventory; a list in JSON is .jsonl"), ("{", "is no JSON")):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(SourceError, match=re.escape(why)):
            rows_of(source_of(tmp_path / "x.json"))


def test_listing_an_inventory_asks_nothing_of_its_objects(flaky, s3):
    key = write_s3_inventory(s3, "CSV")
    source = source_of(f"{s3.uri}/{key}")
    rows_of(source)
    flaky.requests.clear()
    assert rows_of(source).num_rows == 2
    assert flaky.requests.total() <= 8


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(listed=st.lists(st.tuples(names, st.one_of(st.none(), names)), min_size=1, max_size=30))
def test_any_names_and_labels_are_read_as_csv_and_json_wrote_them(tmp_path_factory, listed):
    folder = tmp_path_factory.mktemp("list")
    uris = [f"s3://bucket/x{name}.jpg" for name, _ in listed]
    labels = [None, *[label for _, label in listed]]
    frame = pl.DataFrame({"url": ["s3://bucket/first.jpg", *uris], "label": pl.Series(labels, dtype=pl.String), "n": 1})
    frame.write_csv(folder / "x.csv")
    frame.write_ndjson(folder / "x.jsonl")
    for name in ("x.csv", "x.jsonl"):
        source = source_of(folder / name, label_from="label", keep=["n"])
        if not any(labels):
            with pytest.raises(SourceError, match="has a value for 'label'"):
                rows_of(source)
            continue
        rows = rows_of(source)
        assert rows["uri"].to_pylist() == frame["url"].to_list()
        assert rows["expected"].to_pylist() == labels
