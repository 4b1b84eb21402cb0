"""A source of another kind than its files: refused when it is listed, with the kind that reads them."""

import pytest

from job.errors import SourceError
from job.sources.kinds import kind_hint, kind_of
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import SOURCES

FILES = {"files": "cat.JPG", "parquet": "train.parquet", "webdataset": "shard-0.tar", "list": "cats.csv"}
OTHERS = [(kind, other) for kind in FILES for other in FILES if kind != other]


def refusal(kind, uri):
    spec = SOURCES[kind].model_validate({"kind": kind, "uri": uri})
    with pytest.raises(SourceError) as caught:
        list(open_source(spec, Limits(10_000, 10_000)).list())
    return str(caught.value)


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path):
    """The URI of a place, and a function that writes there."""
    if request.param == "s3":
        bucket = request.getfixturevalue("s3")
        return f"{bucket.uri}/in", lambda key: bucket.put(f"in/{key}", b"x")

    def write(key):
        path = tmp_path / "in" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")

    return f"{tmp_path}/in", write


@pytest.mark.parametrize(("kind", "other"), OTHERS)
def test_a_file_and_a_folder_of_another_kind_are_refused_with_that_kind(root, kind, other):
    uri, write = root
    name = FILES[other]
    write(name)
    write(f"more/{name}")
    write("notes.txt")
    assert refusal(kind, f"{uri}/{name}").endswith(f"/{name} is read with source.kind: {other} (got {kind})")
    assert refusal(kind, uri).endswith(f"; 2 of them are for source.kind: {other}")
    if kind != "files":
        assert refusal(kind, f"{uri}/*{name[-4:]}").endswith(f"is read with source.kind: {other} (got {kind})")
        assert f"; 1 of them is for source.kind: {other}" in refusal(kind, f"{uri}/more/*.none")


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("files", "*.jpg", "source.kind: files takes a folder and source.suffixes, and no patterns"),
        ("files", "{train,val}", "source.kind: files takes a folder and source.suffixes, and no patterns"),
        ("files", "a::b", "source.kind: files takes a folder and source.suffixes, and no patterns"),
        ("files", "shard-{000..099}.tar", "source.kind: webdataset reads such files"),
        ("files", "train-*.parquet", "source.kind: parquet reads such files"),
        ("parquet", "cats.jpg", "source.kind: files reads such files"),
        ("list", "cats.jpg", "source.kind: files reads such files"),
        ("files", "cats.jsonl", "source.kind: list reads such files"),
        ("webdataset", "all.tar.gz", "what is packed is not read: unpack it to a folder, a packed tar to a .tar"),
    ],
)
def test_a_name_alone_tells_what_was_meant(root, kind, name, hint):
    uri, _ = root
    said = refusal(kind, f"{uri}/{name}")
    assert f"there is nothing at {uri}/{name}" in said
    assert said.endswith(f"; {hint}")


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar.gz", "photos.TGZ", "photos.7z"])
def test_a_packed_file_is_no_image(root, name):
    uri, write = root
    write(name)
    assert refusal("files", f"{uri}/{name}").endswith(
        f"/{name} is no image; what is packed is not read: unpack it to a folder, a packed tar to a .tar"
    )


def test_an_image_needs_no_name_like_one(root):
    uri, write = root
    write("photo")
    spec = SOURCES["files"].model_validate({"uri": f"{uri}/photo"})
    (rows,) = open_source(spec, Limits(10_000, 10_000)).list()
    assert rows["uri"].to_pylist() == [f"{uri}/photo"]


def test_a_name_is_of_one_kind_whatever_its_case():
    assert [kind_of(name) for name in ("a.PQ", "x/b.Tar", "c.tiff/", "e.CSV.gz", "d.tar.gz", "jpg", "")] == [
        "parquet",
        "webdataset",
        "files",
        "list",
        None,
        None,
        None,
    ]
    assert kind_hint({}) == ""
