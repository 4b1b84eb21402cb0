"""Folders that are tables of Delta Lake or Iceberg: the rows of now, as the libraries that write them say."""

import base64
import builtins
import json
import os
import re
import struct
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sources import outcome, rows_of

from job.errors import SourceError
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import ParquetSource

deltalake = pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pyiceberg.catalog.sql import SqlCatalog


def source_of(uri, **spec):
    return open_source(ParquetSource(kind="parquet", uri=str(uri), **spec), Limits(10**9, 1_000_000))


def rows_and_images(source, *columns):
    rows = rows_of(source)
    images = [outcome(handle) for handle in source.read(rows)]
    return sorted(zip(images, *(rows[name].to_pylist() for name in columns), strict=True))


def pictures(first, labels, price=1):
    numbers = range(first, first + len(labels))
    return pa.table(
        {"image": [b"%d" % n for n in numbers], "kind": labels, "n": [*numbers], "price": [price] * len(labels)}
    )


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path):
    """Where a table is written, what deltalake needs for it, and pyiceberg."""
    if request.param == "local":
        return str(tmp_path / "tables"), None, {"warehouse": f"file://{tmp_path}/tables"}
    s3 = request.getfixturevalue("s3")
    options = {"AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"}
    catalog = {
        "warehouse": f"{s3.uri}/tables",
        "s3.endpoint": s3.endpoint,
        "s3.access-key-id": "test",
        "s3.secret-access-key": "test",
        "s3.region": "us-east-1",
    }
    return f"{s3.uri}/tables", options, catalog


@pytest.fixture
def delta(place):
    root, options, _ = place
    if options is None:
        os.makedirs(root)
    return f"{root}/delta", options


@pytest.fixture
def iceberg(place, tmp_path):
    """A namespace's catalog, and where its tables are."""
    root, _, properties = place
    (tmp_path / "catalog").mkdir()
    catalog = SqlCatalog("test", uri=f"sqlite:///{tmp_path}/catalog/db", **properties)
    catalog.create_namespace("ns")
    return catalog, f"{root}/ns"


def left_out_of(source):
    return {each.kind: each.count for each in source.left_out}


def test_a_delta_table_is_read_as_it_is_now(delta):
    uri, options = delta
    write = {"storage_options": options}
    deltalake.write_deltalake(uri, pictures(0, ["old"] * 5), **write)
    deltalake.write_deltalake(uri, pictures(10, ["a", "b", "c"]), mode="overwrite", **write)
    deltalake.write_deltalake(uri, pictures(13, ["d", "e"]), mode="append", **write)
    table = deltalake.DeltaTable(uri, storage_options=options)
    table.delete("n = 11")
    table.update(updates={"price": "7"}, predicate="n = 10")
    source = source_of(uri, label_from="kind", keep=["price"])
    assert rows_and_images(source, "expected", "price") == [
        (b"10", "a", 7),
        (b"12", "c", 1),
        (b"13", "d", 1),
        (b"14", "e", 1),
    ]
    assert left_out_of(source) == {"Parquet files that are no part of the Delta table as it is now": 3}
    # A checkpoint stands for the log before it; rows and their order stay.
    before = rows_of(source)["uri"].to_pylist()
    table.create_checkpoint()
    table.optimize.compact()
    table.create_checkpoint()
    again = source_of(uri, label_from="kind", keep=["price"])
    assert rows_and_images(again, "expected", "price") == rows_and_images(source, "expected", "price")
    assert rows_of(source)["uri"].to_pylist() != before


def test_partitions_of_a_delta_table_have_its_types(delta):
    uri, options = delta
    labels = ["x y/#%&=ü", "7", None, "7"]
    table = pictures(0, labels).append_column("day", pa.array([20000, 20001, None, 20001], pa.date32()))
    deltalake.write_deltalake(uri, table, partition_by=["kind", "day"], storage_options=options)
    source = source_of(uri, label_from="kind", keep=["kind", "day"])
    rows = rows_of(source)
    assert rows.schema.field("day").type == pa.date32()
    found = dict(
        zip(
            [handle() for handle in source.read(rows)],
            rows.select(["expected", "kind", "day"]).to_pylist(),
            strict=True,
        )
    )
    for row in table.to_pylist():
        assert found[row["image"]] == {"expected": row["kind"], "kind": row["kind"], "day": row["day"]}


Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
B85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"


def delete_by_vector(folder, row, inline):
    """Commits a deletion vector, as Spark does, for one row of the table's only file; deltalake writes none itself."""
    from pyroaring import BitMap64

    log = folder / "_delta_log"
    (add,) = [
        json.loads(line)["add"]
        for line in (log / f"{0:020d}.json").read_text().splitlines()
        if "add" in json.loads(line)
    ]
    bitmap = struct.pack("<I", 1681511377) + BitMap64([row]).serialize()
    if inline:
        padded = bitmap + b"\0" * (-len(bitmap) % 4)
        stored = {
            "storageType": "i",
            "pathOrInlineDv": base64.b85encode(padded).decode().translate(str.maketrans(B85, Z85)),
        }
    else:
        import uuid
        import zlib

        name = uuid.UUID("0f3b1a52-7a2c-4d1e-9a57-000000000001")
        body = b"\x01" + struct.pack(">I", len(bitmap)) + bitmap + struct.pack(">I", zlib.crc32(bitmap))
        (folder / f"deletion_vector_{name}.bin").write_bytes(body)
        stored = {
            "storageType": "u",
            "pathOrInlineDv": base64.b85encode(name.bytes).decode().translate(str.maketrans(B85, Z85)),
            "offset": 1,
        }
    vector = {**stored, "sizeInBytes": len(bitmap), "cardinality": 1}
    features = ["deletionVectors"]
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
    remove = {"path": add["path"], "deletionTimestamp": 1, "dataChange": True}
    actions = [{"protocol": protocol}, {"remove": remove}, {"add": {**add, "deletionVector": vector}}]
    (log / f"{1:020d}.json").write_text("\n".join(map(json.dumps, actions)))


@pytest.mark.parametrize("inline", [True, False])
def test_rows_that_a_deletion_vector_deletes_are_no_rows(tmp_path, inline):
    deltalake.write_deltalake(str(tmp_path), pictures(0, ["a", "b", "c"]), partition_by=None)
    delete_by_vector(tmp_path, 1, inline)
    source = source_of(tmp_path, label_from="kind")
    assert rows_and_images(source, "expected") == [(b"0", "a"), (b"2", "c")]
    assert rows_of(source)["offset"].to_pylist() == [0, 2]
    assert rows_of(source_of(tmp_path, limit=2)).num_rows == 2


def test_a_table_with_other_names_in_its_files_is_refused(tmp_path):
    deltalake.write_deltalake(str(tmp_path), pictures(0, ["a"]))
    log = tmp_path / "_delta_log" / f"{0:020d}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "metaData" in line:
            schema = json.loads(line["metaData"]["schemaString"])
            for number, field in enumerate(schema["fields"]):
                name = "col-1" if field["name"] == "image" else field["name"]
                field["metadata"] = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": name}
            line["metaData"]["schemaString"] = json.dumps(schema)
            line["metaData"]["configuration"] = {"delta.columnMapping.mode": "name"}
        if "protocol" in line:
            line["protocol"] = {"minReaderVersion": 2, "minWriterVersion": 5}
    log.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(SourceError, match=r"maps columns \(image\) to other names in its files.*without delta\.column"):
        rows_of(source_of(tmp_path))


def test_a_file_that_the_log_names_and_nobody_has_is_said(tmp_path):
    deltalake.write_deltalake(str(tmp_path), pictures(0, ["a"]))
    (file,) = tmp_path.glob("*.parquet")
    file.unlink()
    with pytest.raises(SourceError, match=rf"the Delta table at {tmp_path} names {file}, and there is nothing"):
        rows_of(source_of(tmp_path))
    (tmp_path / "_delta_log" / f"{0:020d}.json").write_text("no log")
    with pytest.raises(SourceError, match=f"the log of the Delta table at {tmp_path} cannot be read"):
        rows_of(source_of(tmp_path))


def test_a_delta_table_without_rows_is_refused(tmp_path):
    deltalake.write_deltalake(str(tmp_path), pictures(0, ["a"]))
    deltalake.DeltaTable(str(tmp_path)).delete()
    with pytest.raises(SourceError, match="has no files, so there are no rows"):
        rows_of(source_of(tmp_path))


def test_an_iceberg_table_is_read_as_it_is_now(iceberg):
    catalog, root = iceberg
    first = pictures(0, ["a", "b", "c"])
    table = catalog.create_table("ns.t", schema=first.schema)
    table.append(pictures(90, ["old"] * 3))
    table.overwrite(first)
    table.append(pictures(3, ["d", None]))
    table.delete("n = 1")
    table.upsert(pictures(2, ["c"], price=7), join_cols=["n"])
    source = source_of(f"{root}/t", label_from="kind", keep=["price"])
    assert rows_and_images(source, "expected", "price") == [
        (b"0", "a", 1),
        (b"2", "c", 7),
        (b"3", "d", 1),
        (b"4", None, 1),
    ]
    assert left_out_of(source)["Parquet files that are no part of the Iceberg table as it is now"] >= 3
    # As an older metadata file has it.
    metadata = sorted(name for name in rows_of_metadata(table) if name.startswith("00001"))
    older = source_of(f"{root}/t/metadata/{metadata[0]}", label_from="kind")
    assert rows_and_images(older, "expected") == [(b"90", "old"), (b"91", "old"), (b"92", "old")]


def delete_in_iceberg(table, folder, content, path, rows):
    """Commits a file of deletes, as Spark's merge-on-read does; pyiceberg writes none itself."""
    from pyiceberg import manifest
    from pyiceberg.table.update.snapshot import _FastAppendFiles

    class Deletes(manifest.ManifestWriterV2):
        def content(self):
            return manifest.ManifestContent.DELETES

        @property
        def _meta(self):
            return {**super()._meta, "content": "deletes"}

    class AppendDeletes(_FastAppendFiles):
        def new_manifest_writer(self, spec):
            return Deletes(
                spec, self._transaction.table_metadata.schema(), self.new_manifest_output(), self._snapshot_id, "gzip"
            )

    columns = {"file_path": [path] * len(rows), "pos": pa.array(rows, pa.int64())}
    pq.write_table(pa.table(columns if content.name == "POSITION_DELETES" else {"n": rows}), folder / "deletes.parquet")
    file = manifest.DataFile.from_args(
        content=content,
        file_path=f"file://{folder}/deletes.parquet",
        file_format=manifest.FileFormat.PARQUET,
        partition=manifest.Record(),
        record_count=len(rows),
        file_size_in_bytes=(folder / "deletes.parquet").stat().st_size,
        equality_ids=[3] if content.name == "EQUALITY_DELETES" else None,
    )
    file.spec_id = table.spec().spec_id
    with table.transaction() as transaction:
        from pyiceberg.table.snapshots import Operation

        with AppendDeletes(Operation.OVERWRITE, transaction, table.io) as append:
            append.append_data_file(file)


@pytest.mark.parametrize("kind", ["POSITION_DELETES", "EQUALITY_DELETES"])
def test_rows_that_an_icebergs_position_deletes_delete_are_no_rows(tmp_path, kind):
    from pyiceberg.manifest import DataFileContent

    catalog = SqlCatalog("test", uri=f"sqlite:///{tmp_path}/db", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("ns")
    table = catalog.create_table("ns.t", schema=pictures(0, ["a"]).schema)
    table.append(pictures(0, ["a", "b", "c"]))
    table.append(pictures(3, ["d", "e"]))
    path = next(task.file.file_path for task in table.scan().plan_files() if task.file.record_count == 3)
    delete_in_iceberg(table, tmp_path / "ns" / "t", DataFileContent[kind], path, [0, 2])
    source = source_of(tmp_path / "ns" / "t", label_from="kind")
    if kind == "EQUALITY_DELETES":
        with pytest.raises(SourceError, match=r"equality delete|deletes rows in a way that is not read"):
            rows_of(source)
        return
    assert table.scan().to_arrow().num_rows == 3
    assert rows_and_images(source, "expected") == [(b"1", "b"), (b"3", "d"), (b"4", "e")]


def rows_of_metadata(table):
    logged = [entry.metadata_file for entry in table.metadata.metadata_log]
    return [location.rpartition("/")[2] for location in [*logged, table.metadata_location]]


def test_partitions_and_renamed_columns_of_an_iceberg_table(iceberg):
    catalog, root = iceberg
    first = pictures(0, ["a/b c", "b", None])
    table = catalog.create_table("ns.t", schema=first.schema)
    with table.update_spec() as spec:
        spec.add_identity("kind")
    table.append(first)
    with table.update_schema() as schema:
        schema.rename_column("kind", "species")
        schema.rename_column("price", "cost")
        schema.add_column("shelf", pyiceberg_string())
    later = pa.table({"image": [b"3"], "species": ["d"], "n": [3], "cost": [5], "shelf": ["x"]})
    table.append(later)
    source = source_of(f"{root}/t", label_from="species", keep=["cost", "shelf"])
    assert rows_and_images(source, "expected", "cost", "shelf") == [
        (b"0", "a/b c", 1, None),
        (b"1", "b", 1, None),
        (b"2", None, 1, None),
        (b"3", "d", 5, "x"),
    ]
    # A column of an old name that was given to another is not taken for it.
    with table.update_schema() as schema:
        schema.add_column("price", pyiceberg_string())
    assert rows_of(source_of(f"{root}/t", keep=["cost"]))["cost"].to_pylist().count(1) == 3
    with pytest.raises(SourceError, match="has no column 'price'"):
        rows_of(source_of(f"{root}/t", keep=["price"]))
    with table.update_schema() as schema:
        schema.rename_column("image", "photo")
    with pytest.raises(SourceError, match="has 'photo' under its earlier name 'image'; rewrite the table's files"):
        rows_of(source_of(f"{root}/t", image_column="photo"))


def pyiceberg_string():
    from pyiceberg.types import StringType

    return StringType()


def test_an_anonymous_bucket_stays_anonymous(s3, tmp_path):
    options = {"AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"}
    deltalake.write_deltalake(f"{s3.uri}/t", pictures(0, ["a"]), storage_options=options)
    for key in [each["Key"] for each in s3.client.list_objects_v2(Bucket=s3.name)["Contents"]]:
        s3.put(key, s3.get(key))
    s3.client.put_bucket_acl(Bucket=s3.name, ACL="public-read")
    source = source_of(f"{s3.anonymous_uri}/t")
    assert rows_and_images(source) == [(b"0",)]
    assert rows_of(source)["uri"][0].as_py().startswith(f"{s3.uri}/t/part-")


@pytest.mark.parametrize(
    "part",
    [
        "{root}",
        "{root}/*.parquet",
        "{root}/delta/*.parquet",
        "{root}/**",
        "{root}/delta/kind=a",
        "{root}/ns/t/data",
        "{root}/ns/t/data/*.parquet",
    ],
)
def test_what_holds_a_table_or_is_a_part_of_one_is_refused(tmp_path, part):
    root = tmp_path / "tables"
    root.mkdir()
    (root / "plain").mkdir()
    pq.write_table(pictures(0, ["a"]), root / "plain" / "x.parquet")
    pq.write_table(pictures(0, ["a"]), root / "x.parquet")
    if "ns/t" in part:
        catalog = SqlCatalog("test", uri=f"sqlite:///{tmp_path}/db", warehouse=f"file://{root}")
        catalog.create_namespace("ns")
        catalog.create_table("ns.t", schema=pictures(0, ["a"]).schema).append(pictures(0, ["a"]))
    else:
        partitions = ["kind"] if "kind=" in part else None
        deltalake.write_deltalake(str(root / "delta"), pictures(0, ["a"]), partition_by=partitions)
    uri = part.format(root=root)
    table = f"{root}/ns/t is a table of Iceberg" if "ns/t" in part else f"{root}/delta is a table of Delta"
    if part == "{root}/*.parquet":
        assert rows_of(source_of(uri)).num_rows == 1
        return
    with pytest.raises(SourceError, match=re.escape(table) + ", and among its files are those of its earlier"):
        rows_of(source_of(uri))
    assert rows_of(source_of(root / "plain")).num_rows == 1


def test_one_file_of_a_table_is_read_where_it_is_named_in_full(tmp_path):
    deltalake.write_deltalake(str(tmp_path), pictures(0, ["a"]))
    (file,) = tmp_path.glob("*.parquet")
    assert rows_of(source_of(file)).num_rows == 1


def test_a_hudi_table_is_refused(tmp_path):
    (tmp_path / ".hoodie").mkdir()
    (tmp_path / ".hoodie" / "hoodie.properties").write_text("hoodie.table.name=t")
    pq.write_table(pictures(0, ["a"]), tmp_path / "x.parquet")
    with pytest.raises(SourceError, match=f"{tmp_path} is a Hudi table, which is not read; copy it to Parquet"):
        rows_of(source_of(tmp_path))


@pytest.mark.parametrize(("kind", "package"), [("Delta", "deltalake"), ("Iceberg", "pyiceberg")])
def test_without_the_extra_its_name_is_said(tmp_path, monkeypatch, kind, package):
    if kind == "Delta":
        deltalake.write_deltalake(str(tmp_path / "t"), pictures(0, ["a"]))
    else:
        (tmp_path / "t" / "metadata").mkdir(parents=True)
        (tmp_path / "t" / "metadata" / "v1.metadata.json").write_text("{}")
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == package or name in (
            "job.sources.parquet.delta_table",
            "job.sources.parquet.iceberg_table",
        ):
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    wanted = (
        rf"is a table of {kind}.*, whose log {package} reads, and that is not installed; it is of the extra `tables`"
    )
    with pytest.raises(SourceError, match=wanted):
        rows_of(source_of(tmp_path / "t"))


def test_two_newest_versions_of_an_iceberg_table_are_a_question(tmp_path):
    catalog = SqlCatalog("test", uri=f"sqlite:///{tmp_path}/db", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("ns")
    table = catalog.create_table("ns.t", schema=pictures(0, ["a"]).schema)
    table.append(pictures(0, ["a"]))
    folder = tmp_path / "ns" / "t" / "metadata"
    newest = table.metadata_location.rpartition("/")[2]
    (folder / "00001-another.metadata.json").write_bytes((folder / newest).read_bytes())
    with pytest.raises(
        SourceError, match="holds two newest versions, of which the catalog knows the right one; name it"
    ):
        rows_of(source_of(tmp_path / "ns" / "t"))
    assert rows_of(source_of(folder / newest)).num_rows == 1
    (folder / "version-hint.text").write_text(newest.removesuffix(".metadata.json"))
    assert rows_of(source_of(tmp_path / "ns" / "t")).num_rows == 1
