"""Which container files a URI means: each that it names, once, in its order; what it passes over is counted."""

import glob
import gzip
import io
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources import rows_of
from tar_files import pack

from job.errors import SourceError
from job.sources.container_files import find_containers
from job.sources.kinds import PARQUET, TAR
from job.sources.left_out import LeftOutCounts
from job.sources.open_source import open_source
from job.sources.uri_patterns import expand, to_regex
from job.spec.limits import Limits
from job.spec.spec import ParquetSource, WebdatasetSource


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path):
    """The URI of a place, and a function that writes files there."""
    if request.param == "s3":
        bucket = request.getfixturevalue("s3")
        return f"{bucket.uri}/in", lambda *keys, data=b"x": [bucket.put(f"in/{key}", data) for key in keys]

    def write(*keys, data=b"x"):
        for key in keys:
            path = tmp_path / "in" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    return f"{tmp_path}/in", write


def found(uri, suffixes=TAR):
    """The keys below the place of `root`, and what was left out by kind."""
    counts = LeftOutCounts()
    keys = [file.uri.partition("/in/")[2] for file in find_containers(uri, suffixes, counts)]
    return keys, {each.kind: each.count for each in counts.records()}


# As the library braceexpand 0.1.7 has it, which webdataset uses.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a{b,c{1..3}}d", ["abd", "ac1d", "ac2d", "ac3d"]),
        ("{a}", ["{a}"]),
        ("{01..10}", [f"{number:02}" for number in range(1, 11)]),
        ("{1..10..3}", ["1", "4", "7", "10"]),
        ("{8..010}", ["008", "009", "010"]),
        ("{a..e}", ["a", "b", "c", "d", "e"]),
        ("x{}y", ["x{}y"]),
        ("{a,{b,c}}", ["a", "b", "c"]),
        ("{,a}.tar", [".tar", "a.tar"]),
        ("{{1..2},x}", ["1", "2", "x"]),
        ("a{1..2}{x,y}", ["a1x", "a1y", "a2x", "a2y"]),
        ("{a}{1,2}", ["{a}1", "{a}2"]),
        ("{x{1,2}}", ["{x1}", "{x2}"]),
        ("s3://b/{a,b}.tar::c{1..2}", ["s3://b/a.tar", "s3://b/b.tar", "c1", "c2"]),
        ("a{b,c", ["a{b,c"]),  # refused there
    ],
)
def test_braces_and_joined_uris_are_spelled_out(text, expected):
    assert list(expand(text)) == expected


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("{train,val}.tar", ["train.tar", "val.tar"]),
        ("{val,train}.tar", ["val.tar", "train.tar"]),
        (
            "{train,more/{a,b}}{,-1}.tar",
            ["train.tar", "train-1.tar", "more/a.tar", "more/a-1.tar", "more/b.tar", "more/b-1.tar"],
        ),
        ("shard-{000..002}.tar", ["shard-000.tar", "shard-001.tar", "shard-002.tar"]),
        ("{more,deep}", ["more/a-1.tar", "more/a.tar", "more/b-1.tar", "more/b.tar", "deep/er/x.tar"]),
        ("more/[ab].tar", ["more/a.tar", "more/b.tar"]),
        ("more/[!a]*.tar", ["more/b-1.tar", "more/b.tar"]),
        ("shard-00[0-1].tar", ["shard-000.tar", "shard-001.tar"]),
        ("{shard-*,**/x}.tar", ["deep/er/x.tar", "shard-000.tar", "shard-001.tar", "shard-002.tar"]),
        ("train.tar::ROOT/val.tar", ["train.tar", "val.tar"]),
        ("more/*-1.tar::ROOT/shard-{001..002}.tar", ["more/a-1.tar", "more/b-1.tar", "shard-001.tar", "shard-002.tar"]),
        ("more/.hid*.tar", ["more/.hidden.tar"]),
        ("more/_*.tar", ["more/_new.tar"]),
    ],
)
def test_a_pattern_means_the_files_that_it_says(root, pattern, keys):
    uri, write = root
    write("train.tar", "train-1.tar", "val.tar", "shard-000.tar", "shard-001.tar", "shard-002.tar", "deep/er/x.tar")
    write("more/a.tar", "more/a-1.tar", "more/b.tar", "more/b-1.tar", "more/.hidden.tar", "more/_new.tar")

    assert found(f"{uri}/{pattern.replace('ROOT', uri)}")[0] == keys


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("{train,vla}.tar", "nothing at .*/vla.tar"),
        ("{train,vla}*.tar", r"no object matches .*/vla\*\.tar; 0 others"),
        ("{train,no}/*.tar", r"no object matches .*/train/\*\.tar"),
        ("train.tar::", "there is no URI on one side of ::"),
        ("[z-a].tar", r"\[z-a\] names no characters: bad character range z-a"),
        ("{3..1}.tar", r"the range \{3\.\.1\} runs backwards"),
        ("{c..a}.tar", r"the range \{c\.\.a\} runs backwards"),
    ],
)
def test_every_part_of_a_pattern_must_find_something(root, pattern, text):
    uri, write = root
    write("train.tar")

    with pytest.raises(SourceError, match=text):
        found(f"{uri}/{pattern}")


@pytest.mark.parametrize("name", ["download[1].tar", "a,{b,c}.tar", "2024::01.tar", "x[1]/a.tar", "a{1,2}/b.tar"])
def test_what_is_called_as_a_pattern_is_taken_for_itself(root, name):
    uri, write = root
    write(name, "download1.tar", "x1/a.tar", "a1/b.tar")

    assert found(f"{uri}/{name}")[0] == [name]
    assert found(f"{uri}/{name.partition('/')[0]}")[0] == [name]


def test_a_file_that_is_named_twice_is_read_once_and_counted(root):
    uri, write = root
    write("a.tar", "b.tar")

    assert found(f"{uri}/{{a,b,a}}.tar") == (["a.tar", "b.tar"], {"files that source.uri names more than once": 1})
    assert found(f"{uri}/*.tar::{uri}/b.tar") == (["a.tar", "b.tar"], {"files that source.uri names more than once": 1})


def test_what_a_folder_and_a_pattern_pass_over_is_counted_by_kind(root):
    uri, write = root
    write("a1.tar", "a2.tar", "b1.tar", "c.tar.gz", "notes.txt", ".DS_Store", "_SUCCESS", "d/._a.tar")

    others = {"names that begin with _ or .": 3, "names that end with .gz": 1, "names that end with .txt": 1}
    assert found(uri) == (["a1.tar", "a2.tar", "b1.tar"], others)
    assert found(f"{uri}/**/[ab]*.tar") == (["a1.tar", "a2.tar", "b1.tar"], others)
    assert found(f"{uri}/{{*1,*2}}.tar") == (["a1.tar", "a2.tar", "b1.tar"], others)
    assert found(f"{uri}/*2.tar") == (["a2.tar"], others | {"names that end with .tar": 2})


def test_a_link_to_nothing_is_counted(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tar").write_bytes(b"x")
    (tmp_path / "in" / "b.tar").symlink_to("/nowhere")

    assert found(f"{tmp_path}/in") == (["a.tar"], {"files that cannot be looked at, such as links to nothing": 1})


def parquet(**options):
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": [b"x"]}), buffer, **options)
    return buffer.getvalue()


def test_parquet_by_every_ending_that_writers_give_it_is_read(root):
    uri, write = root
    names = ["a.parq", "b.pq", "c.parquet", "d.snappy.parquet", "e.PARQUET.GZIP", "f.parquet.gz", "g.parquet.snappy"]
    write(*names, data=parquet(compression="gzip"))

    assert found(uri, PARQUET) == (names, {})
    source = open_source(ParquetSource(kind="parquet", uri=uri), Limits(10**9, 10**6))
    assert rows_of(source).num_rows == len(names)


def test_parquet_that_is_packed_as_a_whole_is_counted_or_refused(root):
    uri, write = root
    write("a.parquet.gz", "b.parq.zst", data=gzip.compress(parquet()))

    for pattern in ("", "/a.parquet.gz", "/*.gz", "/{a.parquet.gz,b.parq.zst}"):
        with pytest.raises(SourceError, match="what is packed is not read: unpack it"):
            found(f"{uri}{pattern}", PARQUET)
    write("c.parquet", data=parquet())
    kind = "Parquet files that are packed as a whole (unpack them first)"
    assert found(uri, PARQUET) == (["c.parquet"], {kind: 2})


def test_a_joined_uri_is_read_as_one_source(root):
    uri, write = root
    write("a.tar", data=pack([("1.jpg", b"a")]))
    write("b/c.tar", data=pack([("1.jpg", b"b")]))
    spec = {"kind": "webdataset", "uri": f"{uri}/a.tar::{uri}/b"}
    source = open_source(WebdatasetSource.model_validate(spec), Limits(10**9, 10**6))

    rows = rows_of(source)

    assert [handle() for handle in source.read(rows)] == [b"a", b"b"]


names = st.text("ab.-1", min_size=1, max_size=4).filter(lambda name: name.strip("."))
globs = st.lists(st.sampled_from(["*", "?", "[ab]", "[!a]", "a", "b", ".", "-", "1", "[a-b1]"]), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.lists(st.lists(names, min_size=1, max_size=3).map("/".join), min_size=1, max_size=6, unique=True),
    folders=st.lists(st.sampled_from(["**/", "*/", "a/", "[ab]*/"]), max_size=2).map("".join),
    name=globs.map("".join).filter(lambda name: "**" not in name),
)
def test_globs_match_what_pythons_match(tmp_path_factory, keys, folders, name):
    root = tmp_path_factory.mktemp("glob")
    files = [key for key in keys if not any(other.startswith(f"{key}/") for other in keys)]
    for key in files:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(b"")
    pattern = f"{folders}{name}"
    expected = {each for each in glob.glob(pattern, root_dir=root, recursive=True) if (root / each).is_file()}

    matches = re.compile(f"(?s){to_regex(pattern)}").fullmatch

    assert {key for key in files if matches(key)} == expected
