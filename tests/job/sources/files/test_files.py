"""The files source: what is listed, how it is labelled, and what becomes of images that cannot be read."""

import io
import json
import time

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sources import as_rows_name_it, outcome, rows_of

from job.errors import SourceError
from job.models.class_names import names_by_id
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import FilesSource, ModelSpec

MAX_BYTES = 1_000_000
NAMES = [
    "top.jpg",
    "n01/a b.JPEG",
    "n01/ü#?%20.png",
    "n02/deep/q'\".webp",
    "n02/new\nline.gif",
    "n02/100%.TIFF",
    "h./_x.bmp",
]


@pytest.fixture(params=["local", "s3", "anonymous"])
def root(request, tmp_path):
    """A place for images, by its URI, and a function that puts one there."""
    if request.param == "local":

        def write(name, data):
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        return str(tmp_path / "images"), write
    s3 = request.getfixturevalue("s3")
    uri = s3.uri if request.param == "s3" else s3.anonymous_uri
    return f"{uri}/images", lambda name, data: s3.put(f"images/{name}", data)


def source_of(uri, **spec):
    return open_source(FilesSource(uri=uri, **spec), Limits(10**9, MAX_BYTES))


def test_every_image_is_listed_once_and_read(root):
    uri, write = root
    for name in NAMES:
        write(name, name.encode())
    write("notes.txt", b"no image")
    source = source_of(uri + "/")

    rows = rows_of(source)

    assert rows["uri"].to_pylist() == [f"{as_rows_name_it(uri)}/{name}" for name in sorted(NAMES, key=str.encode)]
    assert rows["size"].to_pylist() == [len(name.encode()) for name in sorted(NAMES, key=str.encode)]
    assert all(rows["etag"].to_pylist())
    assert rows["expected"].null_count == len(NAMES)
    assert [handle() for handle in source.read(rows)] == [name.encode() for name in sorted(NAMES, key=str.encode)]
    assert rows_of(source).equals(rows)


def test_the_folder_is_the_label(root):
    uri, write = root
    for name in ["top.jpg", "cat/1.jpg", "x/dog\n/2.jpg", "x/y z/3.jpg"]:
        write(name, b"x")

    rows = rows_of(source_of(uri, label_from="directory"))

    labels = {row["uri"].removeprefix(as_rows_name_it(uri) + "/"): row["expected"] for row in rows.to_pylist()}
    assert labels == {"top.jpg": None, "cat/1.jpg": "cat", "x/dog\n/2.jpg": "dog\n", "x/y z/3.jpg": "y z"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"0": "tench", "n02": "dog"}, ["tench", "1", "dog", None]),
        (["tench", "springer"], ["tench", "springer", "n02", None]),
        ({"0": ["n02", "dog"], "1": ["n03", "cat"]}, ["dog", "cat", "dog", None]),
        ({"dog": 1, "cat": 0}, ["cat", "dog", "n02", None]),
    ],
)
def test_labels_take_the_names_of_a_file(tmp_path, names, expected):
    for name in ["0/a.jpg", "1/b.jpg", "n02/c.jpg", "z.jpg"]:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    (tmp_path / "names.json").write_text(json.dumps(names))

    rows = rows_of(source_of(str(tmp_path / "in"), label_from="directory", label_names=str(tmp_path / "names.json")))

    assert rows["expected"].to_pylist() == expected


def test_labels_that_are_ids_take_the_names_that_the_models_labels_give_them(tmp_path):
    for name in ["n02/a.jpg", "n03/b.jpg", "other/c.jpg"]:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    index = tmp_path / "imagenet_class_index.json"
    index.write_text('{"0": ["n02", "dog"], "1": ["n03", "cat"]}')
    ids = names_by_id(ModelSpec(kind="torchvision", name="resnet18", labels=str(index)))
    source = source_of(str(tmp_path / "in"), label_from="directory")
    assert pa.concat_tables(source.list(ids))["expected"].to_pylist() == ["dog", "cat", "other"]
    (tmp_path / "names.json").write_text('{"n02": "hound"}')
    source = source_of(str(tmp_path / "in"), label_from="directory", label_names=str(tmp_path / "names.json"))
    assert pa.concat_tables(source.list(ids))["expected"].to_pylist() == ["hound", "n03", "other"]
    (tmp_path / "labels.json").write_text('["dog", "cat"]')
    assert names_by_id(ModelSpec(kind="torchvision", name="resnet18", labels=f"{tmp_path}/labels.json")) == {}
    assert names_by_id(ModelSpec(kind="python", name="m:f", labels="no such file")) == {}


@pytest.mark.parametrize("content", [None, "{", "3", '"a"'])
def test_a_wrong_file_of_names_is_named(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(b"x")
    if content is not None:
        (tmp_path / "names.json").write_text(content)

    with pytest.raises(SourceError, match=r"source\.label_names: .*names\.json"):
        rows_of(source_of(str(tmp_path), label_names=str(tmp_path / "names.json")))


def test_one_object_is_a_source_whatever_its_name(root):
    uri, write = root
    write("picture", b"x")

    source = source_of(f"{uri}/picture", label_from="directory")
    rows = rows_of(source)

    assert rows.select(["uri", "size", "expected"]).to_pylist() == [
        {"uri": f"{as_rows_name_it(uri)}/picture", "size": 1, "expected": None}
    ]
    assert [handle() for handle in source.read(rows)] == [b"x"]


def test_rows_of_a_public_bucket_join_with_other_tables_and_are_read_unsigned(s3, monkeypatch):
    s3.put("in/a.jpg", b"a")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    source = source_of(f"{s3.anonymous_uri}/in")

    rows = rows_of(source)

    assert rows["uri"].to_pylist() == [f"{s3.uri}/in/a.jpg"]
    assert [outcome(handle) for handle in source.read(rows)] == [b"a"]
    # As older versions have planned it.
    old = rows.set_column(0, "uri", pa.array([f"{s3.anonymous_uri}/in/a.jpg"]))
    assert [outcome(handle) for handle in source.read(old)] == [b"a"]
    assert [outcome(handle) for handle in source_of(f"{s3.uri}/in").read(old)] == [b"a"]


def test_a_folder_may_be_named_as_other_tools_do(s3, tmp_path):
    s3.put("in/a.jpg", b"a")
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/c.jpg").write_bytes(b"c")
    for uri, root in [(f"s3a://{s3.name}/in/", f"{s3.uri}/in"), ((tmp_path / "a b").as_uri(), f"{tmp_path}/a b")]:
        source = source_of(uri)
        rows = rows_of(source)
        assert [each.rpartition("/")[0] for each in rows["uri"].to_pylist()] == [root]
        assert [outcome(handle) for handle in source.read(rows)] in ([b"a"], [b"c"])
    with pytest.raises(SourceError, match=f"a percent sign is itself there, so where it escapes write {tmp_path}/a b"):
        rows_of(source_of(f"{tmp_path}/a%20b"))


def left_out_of(source):
    return {each.kind: (each.count, each.example) for each in source.left_out}


def test_what_is_hidden_or_somebody_elses_is_passed_over_and_counted(root):
    uri, write = root
    for name in [
        "_MG_0001.jpg",
        "x/a.jpg",
        "x/.b.jpg",
        ".git/c.jpg",
        ".git/@eaDir/d.jpg",
        "x/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        "x/.ipynb_checkpoints/a-checkpoint.jpg",
        "lost+found/e.jpg",
        "__MACOSX/x/._a.jpg",
        "x/._a.jpg",
        "my lost+found/f.jpg",
        "x/@eaDir.jpg",
        "x/.DS_Store",
    ]:
        write(name, b"x")
    source = source_of(uri)

    rows = rows_of(source)

    names = [each.removeprefix(as_rows_name_it(uri) + "/") for each in rows["uri"].to_pylist()]
    assert names == ["_MG_0001.jpg", "my lost+found/f.jpg", "x/@eaDir.jpg", "x/a.jpg"]
    assert left_out_of(source) == {
        "hidden names, which begin with a dot": (4, ".git/@eaDir/d.jpg"),
        "names in @eaDir": (1, "x/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg"),
        "names in .ipynb_checkpoints": (1, "x/.ipynb_checkpoints/a-checkpoint.jpg"),
        "names in lost+found": (1, "lost+found/e.jpg"),
        "names in __MACOSX": (1, "__MACOSX/x/._a.jpg"),
        "names that begin with ._": (1, "x/._a.jpg"),
    }
    # Named itself, it is meant.
    assert rows_of(source_of(f"{uri}/.git")).num_rows == 1
    assert rows_of(source_of(f"{uri}/x/.b.jpg")).num_rows == 1
    assert rows_of(source_of(f"{uri}/lost+found")).num_rows == 1


def test_globs_take_and_pass_over_names(root):
    uri, write = root
    names = ["1.jpg", "1.thumb.jpg", "a/2.jpg", "a/2.thumb.jpg", "a/b/3.JPG", "a/b/thumbs/4.jpg", "thumbs/n\n/5.jpg"]
    for name in [*names, "a/n.txt"]:
        write(name, b"x")

    def found(**globs):
        source = source_of(uri, **globs)
        rows = rows_of(source)
        return [each.removeprefix(as_rows_name_it(uri) + "/") for each in rows["uri"].to_pylist()], left_out_of(source)

    assert found(exclude=["*.thumb.jpg", "thumbs/"]) == (
        ["1.jpg", "a/2.jpg", "a/b/3.JPG"],
        {"names that source.exclude matches": (4, "1.thumb.jpg"), "names that end with .txt": (1, "a/n.txt")},
    )
    assert found(include=["/a"], exclude=["/a/b/"])[0] == ["a/2.jpg", "a/2.thumb.jpg"]
    assert found(include=["a/**/[2-3].*"]) == (
        ["a/2.jpg", "a/2.thumb.jpg", "a/b/3.JPG"],
        {"names that source.include does not match": (5, "1.jpg")},
    )
    assert found(include=["{1,5}.jpg"])[0] == ["1.jpg", "thumbs/n\n/5.jpg"]
    with pytest.raises(SourceError, match=r"none of the 8 objects.*; 8 names that source\.include does not match"):
        found(include=["*.jpeg"])


def test_any_name_may_be_an_images_where_the_content_says_so(root):
    uri, write = root
    images = {"photo": "jpeg", "d/0001": "png", "x.dat": "webp", "y.txt": "tiff", "z.": "gif"}
    for name, kind in images.items():
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, kind)
        write(name, buffer.getvalue())
    for name, data in {
        "LICENSE": b"Copyright",
        "n.txt": b"BM and so on",
        "page": b"<html>",
        "empty": b"",
        "k.jpg": b"no",
    }.items():
        write(name, data)
    source = source_of(uri, suffixes=["any"])

    rows = rows_of(source)

    names = [each.removeprefix(as_rows_name_it(uri) + "/") for each in rows["uri"].to_pylist()]
    # A name that says it is an image is believed: decoding says what is wrong with it.
    assert names == sorted([*images, "k.jpg"])
    assert left_out_of(source) == {
        "names without a suffix": (3, "LICENSE"),
        "names that end with .txt": (1, "n.txt"),
    }


def test_telling_images_by_their_content_reads_little_and_outlasts_what_cannot_be_read(flaky, s3, monkeypatch):
    monkeypatch.setenv("TENCH_RETRY_DEADLINE_S", "0.1")
    for number in range(40):
        s3.put(f"{number:02d}", b"\xff\xd8\xff" + bytes(100_000))
    sent = flaky.sent
    rows = rows_of(source_of(s3.uri, suffixes=["any"]))
    assert rows.num_rows == 40
    assert flaky.sent - sent < 100_000
    flaky.fail(None, *[403] * 3)
    source = source_of(s3.uri, suffixes=["any"])
    assert rows_of(source).num_rows == 37
    assert left_out_of(source)["objects that cannot be read to tell what they are"][0] == 3


def test_nothing_there_is_said_with_what_was_looked_for(root):
    uri, write = root

    with pytest.raises(SourceError, match=r"nothing at .*images.*\.jpg, \.png"):
        rows_of(source_of(uri, suffixes=[".jpg", ".png"]))

    write("a.txt", b"x")
    write("b/c.webp", b"x")
    with pytest.raises(SourceError, match=r"none of the 2 objects below .*images ends with .*\.jpg, \.png"):
        rows_of(source_of(uri, suffixes=[".jpg", ".png"]))


def test_a_bucket_that_refuses_is_a_source_error(s3):
    with pytest.raises(SourceError, match="no such bucket"):
        rows_of(source_of("s3://there-is-none/x"))


def test_a_limit_ends_the_listing(flaky, s3):
    s3.put_many(f"many/{number:05d}.jpg" for number in range(3_500))

    rows = rows_of(source_of(f"{s3.uri}/many", limit=1_500))

    assert rows["uri"].to_pylist() == [f"{s3.uri}/many/{number:05d}.jpg" for number in range(1_500)]
    assert flaky.requests["GET"] == 2


def test_each_bad_image_is_a_kind_of_its_own(root, s3):
    uri, write = root
    for name in ["1-good.jpg", "2-gone.jpg", "3-large.jpg", "4-empty.jpg", "5-good.jpg"]:
        write(name, {"3": b"x" * (MAX_BYTES + 1), "4": b""}.get(name[0], b"good"))
    source = source_of(uri)
    rows = rows_of(source)
    replace_uri = rows["uri"].to_pylist()
    replace_uri[1] = f"{uri}/never-was.jpg"
    rows = rows.set_column(0, "uri", pa.array(replace_uri))

    assert [outcome(handle) for handle in source.read(rows)] == [b"good", "missing", "too-large", "empty", b"good"]


def test_an_image_that_changed_after_it_was_listed_is_told_and_never_read_for_the_old(root):
    uri, write = root
    for name in ("a.png", "b.png", "c.png"):
        write(name, name.encode())
    source = source_of(uri)
    rows = rows_of(source)
    write("b.png", b"B.png")

    found = dict(zip(rows["uri"].to_pylist(), (outcome(handle) for handle in source.read(rows)), strict=True))

    assert {uri.rpartition("/")[2]: each for uri, each in found.items()} == {
        "a.png": b"a.png",
        "b.png": "changed",
        "c.png": b"c.png",
    }


def test_too_large_images_are_not_read(flaky, s3):
    s3.put("big.jpg", b"x" * (MAX_BYTES + 1))
    source = source_of(s3.uri)
    rows = rows_of(source)
    listed = flaky.requests["GET"]

    assert [outcome(handle) for handle in source.read(rows)] == ["too-large"]
    assert flaky.requests["GET"] == listed


def test_what_the_store_refuses_is_unreadable_and_what_went_is_missing(flaky, s3, monkeypatch):
    monkeypatch.setenv("TENCH_RETRY_DEADLINE_S", "0.1")
    for name in "abc":
        s3.put(f"{name}.jpg", b"x")
    source = source_of(s3.uri)
    rows = rows_of(source)
    s3.delete("b.jpg")

    assert [outcome(handle) for handle in source.read(rows)] == [b"x", "missing", b"x"]
    flaky.fail(*[403] * 3)
    assert [outcome(handle) for handle in source.read(rows)] == ["unreadable"] * 3
    flaky.fail(*[503] * 100)
    assert [outcome(handle) for handle in source.read(rows)] == ["unreadable"] * 3


def test_an_image_outlasts_a_store_that_fails_for_a_while(flaky, s3):
    for number in range(40):
        s3.put(f"{number:02d}.jpg", str(number).encode() * 1000)
    source = source_of(s3.uri)
    rows = rows_of(source)
    flaky.fail(*[503, "reset", "cut", None] * 10)

    assert [handle() for handle in source.read(rows)] == [str(number).encode() * 1000 for number in range(40)]


def test_buckets_are_read_ahead_within_a_bound(flaky, s3):
    s3.put_many(f"{number:03d}.jpg" for number in range(200))
    rows = rows_of(source_of(s3.uri)).drop_columns("size").add_column(1, "size", pa.array([1 << 20] * 200))
    listed = flaky.requests["GET"]
    source = open_source(FilesSource(uri=s3.uri), Limits(10**9, 1 << 30))

    handles = list(source.read(rows))
    assert outcome(handles[0]) == "empty"
    for _ in range(200):
        if flaky.requests["GET"] - listed >= 64:
            break
        time.sleep(0.05)
    time.sleep(0.2)

    # 64 MiB ahead of the first, and one more for the one that was taken.
    assert 64 <= flaky.requests["GET"] - listed <= 65
    assert [outcome(handle) for handle in handles[1:]] == ["empty"] * 199


def test_handles_may_be_called_in_any_order(s3):
    for number in range(100):
        s3.put(f"{number:03d}.jpg", str(number).encode())
    source = source_of(s3.uri)
    handles = list(source.read(rows_of(source)))

    assert [handles[number]() for number in reversed(range(100))] == [str(n).encode() for n in reversed(range(100))]


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0\r"), min_size=1, max_size=8).filter(
    lambda name: name.strip(".")
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    paths=st.sets(st.tuples(st.sampled_from(["", "d/", "é é/x/"]), names), max_size=10),
    suffix=st.sampled_from([".jpg", ".PnG", ".txt"]),
)
def test_a_tree_of_odd_names_loses_no_image(tmp_path_factory, paths, suffix):
    root = tmp_path_factory.mktemp("tree")
    written = {}
    for folder, name in sorted(paths):
        path = root / folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{folder}{name}".encode())
        if not name.startswith("."):
            written[str(path)] = f"{folder}{name}".encode()
    source = source_of(str(root))
    if not written or suffix == ".txt":
        with pytest.raises(SourceError):
            rows_of(source)
        return

    rows = rows_of(source)

    assert dict(zip(rows["uri"].to_pylist(), [handle() for handle in source.read(rows)], strict=True)) == written
