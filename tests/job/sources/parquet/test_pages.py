"""Chunks read the pages of their rows and no others, and every row has pyarrow's bytes, whoever wrote the file."""

import base64
import random
from concurrent.futures import ThreadPoolExecutor

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources import outcome, rows_of

from job.errors import ImageError
from job.sources.open_source import open_source
from job.sources.parquet import paged_file
from job.spec.limits import Limits
from job.spec.spec import ParquetSource
from job.stores.local_folder import LocalFolder

CHUNK = 1000


def source_of(uri, **spec):
    return open_source(ParquetSource(kind="parquet", uri=str(uri), **spec), Limits(10**9, 10**8))


def images(count, size, seed=0):
    """Such as do not compress, of `size` bytes more or less."""
    draw = random.Random(seed)
    return [draw.randbytes(draw.randrange(size // 2, 3 * size // 2)) for _ in range(count)]


def read_in_chunks(source, rows, chunk=CHUNK, at_once=2):
    """As the engines do: two chunks of a process are under way."""
    with ThreadPoolExecutor(at_once) as pool:
        starts = range(0, rows.num_rows, chunk)
        return [
            data for part in pool.map(lambda start: read_all(source, rows.slice(start, chunk)), starts) for data in part
        ]


def read_all(source, rows):
    return [outcome(handle) for handle in source.read(rows)]


@pytest.fixture
def bytes_read(monkeypatch):
    """What was read of files, in bytes, by a request."""
    sizes = []
    read_range = LocalFolder.read_range

    def counted(self, *arguments):
        data = read_range(self, *arguments)
        sizes.append(len(data))
        return data

    def whole(self, *arguments):
        raise AssertionError("the row group was read from its start")

    monkeypatch.setattr(LocalFolder, "read_range", counted)
    monkeypatch.setattr(paged_file.PagedFile, "open_whole", whole)
    return sizes


def write_arrow(table, path, **options):
    pq.write_table(table, path, row_group_size=table.num_rows, **options)


def write_pandas(table, path):
    table.to_pandas().to_parquet(path)


def write_polars(table, path):
    pl.from_arrow(table).write_parquet(path, row_group_size=table.num_rows)


WRITERS = {
    "pyarrow": write_arrow,
    "pandas": write_pandas,
    "polars": write_polars,
    "duckdb": lambda table, path: duckdb_copy(table, path, "FORMAT parquet"),
    "duckdb v2": lambda table, path: duckdb_copy(table, path, "FORMAT parquet, PARQUET_VERSION v2, CODEC zstd"),
    "v2 pages": lambda table, path: write_arrow(table, path, data_page_version="2.0", compression="zstd"),
    "an index": lambda table, path: write_arrow(
        table, path, write_page_index=True, write_batch_size=16, data_page_size=30_000
    ),
    "small pages": lambda table, path: write_arrow(
        table, path, write_batch_size=8, data_page_size=10_000, use_dictionary=False, write_statistics=False
    ),
    "deltas": lambda table, path: write_arrow(
        table, path, use_dictionary=False, column_encoding={"image": "DELTA_LENGTH_BYTE_ARRAY"}
    ),
}


def duckdb_copy(table, path, options):
    connection = duckdb.connect()
    connection.register("images", table)
    connection.sql(f"COPY images TO '{path}' ({options}, ROW_GROUP_SIZE 1000000)")


@pytest.mark.parametrize("at_once", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_row_group_of_any_writer_is_read_once(tmp_path, bytes_read, writer, at_once):
    table = pa.table({"image": pa.array(images(6_500, 2_000), pa.binary()), "n": range(6_500)})
    WRITERS[writer](table, tmp_path / "x.parquet")
    assert pq.read_metadata(tmp_path / "x.parquet").num_row_groups == 1
    source = source_of(tmp_path)
    rows = rows_of(source)

    assert read_in_chunks(source, rows, at_once=at_once) == table["image"].to_pylist()

    assert sum(bytes_read) <= 1.1 * (tmp_path / "x.parquet").stat().st_size


def test_images_that_are_all_alike_are_read_once(tmp_path, bytes_read):
    table = pa.table({"image": images(40, 2_000) * 200})
    write_arrow(table, tmp_path / "x.parquet")
    source = source_of(tmp_path)

    assert read_in_chunks(source, rows_of(source)) == table["image"].to_pylist()
    assert sum(bytes_read) <= 1.1 * (tmp_path / "x.parquet").stat().st_size + 512


def test_from_a_bucket_a_row_group_is_read_once(flaky, s3, tmp_path):
    table = pa.table({"image": images(3_000, 3_000)})
    write_arrow(table, tmp_path / "x.parquet")
    s3.put("x.parquet", (tmp_path / "x.parquet").read_bytes())
    source = source_of(f"{s3.uri}/x.parquet")
    rows = rows_of(source)
    flaky.sent = 0

    assert read_in_chunks(source, rows) == table["image"].to_pylist()
    assert flaky.sent <= 1.1 * (tmp_path / "x.parquet").stat().st_size


def test_a_large_page_comes_from_a_bucket_in_several_requests(flaky, s3, tmp_path, monkeypatch):
    monkeypatch.setattr(paged_file, "_PART_BYTES", 100_000)
    table = pa.table({"image": images(1_000, 3_000)})
    write_arrow(table, tmp_path / "x.parquet", use_dictionary=False)
    s3.put("x.parquet", (tmp_path / "x.parquet").read_bytes())
    source = source_of(f"{s3.uri}/x.parquet")
    rows = rows_of(source)
    flaky.requests.clear()
    flaky.fail("cut", 503, None, "reset")

    assert read_all(source, rows) == table["image"].to_pylist()
    assert flaky.requests["GET"] > 25


@pytest.mark.parametrize("writer", ["pyarrow", "small pages", "an index"])
def test_a_chunk_far_behind_does_not_read_what_is_before_it(tmp_path, bytes_read, writer):
    table = pa.table({"image": pa.array(images(6_500, 2_000), pa.binary())})
    WRITERS[writer](table, tmp_path / "x.parquet")
    source = source_of(tmp_path)
    rows = rows_of(source)

    assert read_all(source, rows.slice(6_200)) == table["image"].to_pylist()[6_200:]

    wanted, file = 300 * 2_000, (tmp_path / "x.parquet").stat().st_size
    pages = 1024 * 2_000 if writer == "pyarrow" else 0.15 * file  # those that have them, or the headers before
    assert sum(bytes_read) <= 1.5 * wanted + pages


def test_rows_here_and_there_take_their_pages_alone(tmp_path, bytes_read):
    table = pa.table({"image": images(20_000, 1_000)})
    write_arrow(
        table,
        tmp_path / "x.parquet",
        write_batch_size=16,
        data_page_size=20_000,
        use_dictionary=False,
        write_statistics=False,
    )
    source = source_of(tmp_path)
    places = [3, 4, 9_000, 19_999, 7]

    assert read_all(source, rows_of(source).take(places)) == [table["image"][place].as_py() for place in places]
    assert sum(bytes_read) < 3_000_000


def test_a_large_page_is_held_once_for_the_chunks_that_share_it(tmp_path, bytes_read):
    table = pa.table({"image": images(1_024, 4_000)})
    write_arrow(table, tmp_path / "x.parquet", use_dictionary=False)
    source = source_of(tmp_path)

    assert read_in_chunks(source, rows_of(source), chunk=100, at_once=3) == table["image"].to_pylist()
    assert max(bytes_read) < sum(bytes_read) < 1.1 * (tmp_path / "x.parquet").stat().st_size


LEAVES = st.one_of(st.none(), st.binary(max_size=20))
HF = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS = {
    "binary": (LEAVES, pa.binary()),
    "large": (LEAVES, pa.large_binary()),
    "view": (LEAVES, pa.binary_view()),
    "dictionary": (st.sampled_from([None, b"a", b"bc", b"def"]), pa.dictionary(pa.int32(), pa.binary())),
    "fixed": (st.one_of(st.none(), st.binary(min_size=4, max_size=4)), pa.binary(4)),
    "hugging face": (st.one_of(st.none(), st.builds(lambda data: {"bytes": data, "path": None}, LEAVES)), HF),
    "list": (st.one_of(st.none(), st.lists(LEAVES, max_size=1)), pa.list_(pa.binary())),
    "deep": (
        st.one_of(st.none(), st.builds(lambda data: {"a": {"bytes": data}}, LEAVES)),
        pa.struct([("a", pa.struct([("bytes", pa.binary()), ("n", pa.int8())]))]),
    ),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_row_has_the_bytes_that_pyarrow_reads(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("pages") / "x.parquet"
    kind = data.draw(st.sampled_from(sorted(COLUMNS)))
    values, column_type = COLUMNS[kind]
    column = pa.array(data.draw(st.lists(values, min_size=1, max_size=200)), column_type)
    others = {"before": range(len(column)), "image": column, "after.wards": ["x"] * len(column)}
    pq.write_table(
        pa.table(others),
        path,
        row_group_size=data.draw(st.integers(1, 300)),
        data_page_size=data.draw(st.sampled_from([50, 100, 1 << 20])),
        write_batch_size=data.draw(st.sampled_from([3, 7, 1024])),
        compression=data.draw(st.sampled_from(["none", "snappy", "zstd", "gzip", "lz4", "brotli"])),
        data_page_version=data.draw(st.sampled_from(["1.0", "2.0"])),
        use_dictionary=data.draw(st.booleans()) and kind != "fixed",
        dictionary_pagesize_limit=data.draw(st.sampled_from([10, 1 << 20])),
        write_page_index=data.draw(st.booleans()),
        write_page_checksum=data.draw(st.booleans()),
        write_statistics=data.draw(st.booleans()),
    )
    source = source_of(path, image_column="image.a" if kind == "deep" else "image")
    rows = rows_of(source)
    if rows["offset"].null_count:  # a row group that names images and has none
        return
    chosen = data.draw(st.lists(st.integers(0, len(column) - 1), min_size=1, max_size=60).map(sorted))
    expected = [bytes_of(value) for value in pq.read_table(path)["image"].to_pylist()]

    assert read_in_chunks(source, rows, chunk=data.draw(st.integers(1, 100))) == expected
    assert read_all(source, rows.take(chosen)) == [expected[row] for row in chosen]


def bytes_of(value):
    """As `outcome` has it: of a null the kind of error."""
    while isinstance(value, dict | list):
        value = (value.get("a") or value.get("bytes")) if isinstance(value, dict) else value[0] if value else None
    return "missing" if value is None else value or "empty"


def test_a_list_without_an_index_is_read_by_row_groups(tmp_path):
    column = pa.array([[b"a%d" % number] for number in range(5_000)])
    pq.write_table(pa.table({"image": column}), tmp_path / "x.parquet", data_page_size=1000, write_batch_size=10)
    source = source_of(tmp_path)

    assert read_in_chunks(source, rows_of(source)) == [value[0] for value in column.to_pylist()]


def test_an_index_that_cannot_be_right_is_not_believed(tmp_path):
    """Its pages begin at other rows than they hold; the headers know better."""
    table = pa.table({"image": images(400, 100)})
    write_arrow(table, tmp_path / "x.parquet", write_page_index=True, write_batch_size=10, data_page_size=100)
    data = bytearray((tmp_path / "x.parquet").read_bytes())
    file = pq.ParquetFile(tmp_path / "x.parquet").metadata
    assert file.row_group(0).column(0).has_offset_index
    # The second page's first row, 10, as a number of Thrift (20), becomes 11.
    place = data.rindex(b"\x16\x14\x00")
    data[place + 1] = 0x16
    (tmp_path / "x.parquet").write_bytes(data)
    source = source_of(tmp_path)

    assert read_all(source, rows_of(source)) == table["image"].to_pylist()


@pytest.mark.parametrize("place", ["header", "data"])
def test_a_damaged_page_is_an_error_of_its_rows_alone(tmp_path, place):
    table = pa.table({"image": images(600, 1_000)})
    write_arrow(table, tmp_path / "x.parquet", write_batch_size=20, data_page_size=100, use_dictionary=False)
    data = bytearray((tmp_path / "x.parquet").read_bytes())
    last = table["image"][299].as_py()
    page = data.index(last) + len(last)
    start = page if place == "header" else data.index(table["image"][300].as_py()) - 4
    data[start : start + 4] = b"\xff" * 4
    (tmp_path / "x.parquet").write_bytes(data)
    source = source_of(tmp_path)

    found = read_all(source, rows_of(source))

    wrong = [row for row, image in enumerate(table["image"].to_pylist()) if found[row] != image]
    assert wrong
    assert {found[row] for row in wrong} == {"unreadable"}
    assert found[:280] == table["image"].to_pylist()[:280]


def test_an_encrypted_column_is_refused(tmp_path):
    pe = pytest.importorskip("pyarrow.parquet.encryption")

    class Kms(pe.KmsClient):
        def __init__(self, _config):
            super().__init__()

        def wrap_key(self, key, _name):
            return base64.b64encode(key)

    config = pe.EncryptionConfiguration(
        footer_key="footer", column_keys={"column": ["image"]}, plaintext_footer=True, double_wrapping=False
    )
    keys = pe.CryptoFactory(Kms).file_encryption_properties(pe.KmsConnectionConfig(), config)
    table = pa.table({"image": images(30, 100), "n": range(30)})
    pq.write_table(table, tmp_path / "x.parquet", encryption_properties=keys)
    source = source_of(tmp_path)

    with pytest.raises(ImageError, match=r"unreadable: .*[Dd]ecrypt"):
        next(source.read(rows_of(source)))()


def test_a_chunk_goes_on_where_another_left_a_page(tmp_path, monkeypatch):
    """Or the last chunk of a page of 8,000 images would come through all of them, and so would each before it."""
    table = pa.table({"image": images(8_000, 200)})
    WRITERS["duckdb"](table, tmp_path / "x.parquet")
    begun = []
    stretch = paged_file.PagedFile.stretch

    def counted(*arguments):
        begun.append(arguments)
        return stretch(*arguments)

    monkeypatch.setattr(paged_file.PagedFile, "stretch", counted)
    source = source_of(tmp_path)

    assert read_in_chunks(source, rows_of(source), chunk=500, at_once=1) == table["image"].to_pylist()
    assert len(begun) == 1
