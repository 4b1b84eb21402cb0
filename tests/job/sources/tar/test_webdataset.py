"""The webdataset source: members grouped by name, labels beside them, images by range, none cut in silence."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources import as_rows_name_it, outcome, rows_of
from tar_files import HARD, SYM, pack

from job.errors import SourceError
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import WebdatasetSource
from job.stores.storage import open_folder

MAX_BYTES = 1_000_000


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path):
    """A place for archives, by its URI, and a function that writes one there."""
    if request.param == "local":

        def write(name, data):
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        return str(tmp_path / "data"), write
    s3 = request.getfixturevalue("s3")
    return f"{s3.anonymous_uri}/data", lambda name, data: s3.put(f"data/{name}", data)


def source_of(uri, **spec):
    return open_source(WebdatasetSource(kind="webdataset", uri=uri, **spec), Limits(10**9, MAX_BYTES))


def test_each_sample_is_an_image_with_its_label(root):
    uri, write = root
    write("b.tar", pack([("x/9.png", b"nine"), ("x/9.cls", b"9\n")]))
    write(
        "a.tar",
        pack(
            [
                ("1.cls", b"1"),
                ("1.jpg", b"one"),
                ("1.txt", b"a text"),
                ("d/2.JPEG", b"two"),
                ("d/2.json", b"{}"),
                ("3.cls", b"3"),
            ]
        ),
    )
    source = source_of(uri, label_from=".cls")

    rows = rows_of(source)

    assert rows["uri"].to_pylist() == [
        f"{as_rows_name_it(uri)}/{name}" for name in ("a.tar#1.jpg", "a.tar#d/2.JPEG", "b.tar#x/9.png")
    ]
    assert rows["size"].to_pylist() == [3, 3, 4]
    assert rows["expected"].to_pylist() == ["1", None, "9"]
    assert [handle() for handle in source.read(rows)] == [b"one", b"two", b"nine"]


@pytest.mark.parametrize(
    ("label_from", "data", "expected"),
    [
        (".cls", b" 12\n", "12"),
        (".txt", "dögs and cats\n".encode(), "dögs and cats"),
        (".json", b"7", "7"),
        (".json", b'"tench"', "tench"),
        (".json:label", b'{"label": 3, "more": [1]}', "3"),
        (".json:label", b'{"label": "tench"}', "tench"),
        (".LABEL.cls", b"5", "5"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_labels_come_from_members_before_or_after_the_image(tmp_path, label_from, data, expected, first):
    label = ("1" + label_from.partition(":")[0], data)
    image = ("1.jpg", b"x")
    (tmp_path / "a.tar").write_bytes(pack([label, image] if first else [image, label]))

    rows = rows_of(source_of(str(tmp_path / "a.tar"), label_from=label_from))

    assert rows["expected"].to_pylist() == [expected]


@pytest.mark.parametrize(
    ("label_from", "data", "text"),
    [
        (".json", b"{", r"1\.json"),
        (".json", b"[1]", r"a label is a text or a number; name one of its keys as \.json:KEY"),
        (".json:a", b"[1]", "holds no JSON object to take 'a' from"),
        (".json:a", b'{"a": {}}', "name another key"),
        (".cls", b"\xff", r"1\.cls"),
        (".json", b'"\\ud83d"', r"1\.json: .*surrogates"),
        (".json", b"[" * 100_000, r"1\.json: its JSON is nested too deep"),
        (".cls", b"x" * (1 << 21), "too many for a label"),
    ],
)
def test_a_label_that_cannot_be_understood_is_named(tmp_path, label_from, data, text):
    (tmp_path / "a.tar").write_bytes(pack([("1.jpg", b"x"), ("1" + label_from.partition(":")[0], data)]))

    with pytest.raises(SourceError, match=rf"(?s)a\.tar.*{text}"):
        rows_of(source_of(str(tmp_path), label_from=label_from))


def test_links_and_joined_archives_are_read_from_any_store(root):
    uri, write = root
    one = pack([("1.jpg", b"one"), ("1.cls", b"1"), ("2.cls", (HARD, "1.cls")), ("2.jpg", (SYM, "1.jpg"))])
    other = pack([("d/1.jpg", b"two"), ("d/1.cls", (SYM, "../e/1.cls")), ("e/1.cls", b"7")])
    write("a.tar", one + bytes(3 << 20) + other)
    source = source_of(uri, label_from=".cls")

    rows = rows_of(source)

    assert rows["uri"].to_pylist() == [f"{as_rows_name_it(uri)}/a.tar#{name}" for name in ("1.jpg", "2.jpg", "d/1.jpg")]
    assert rows["expected"].to_pylist() == ["1", "1", "7"]
    assert [handle() for handle in source.read(rows)] == [b"one", b"one", b"two"]
    shuffled = rows.take([2, 1, 0, 1])
    assert [handle() for handle in source.read(shuffled)] == [b"two", b"one", b"one", b"one"]


def test_labels_take_names_by_index(tmp_path):
    (tmp_path / "a.tar").write_bytes(pack([("1.jpg", b"x"), ("1.cls", b"1"), ("2.jpg", b"x"), ("2.cls", b"9")]))
    (tmp_path / "names.json").write_text(json.dumps(["tench", "springer"]))

    rows = rows_of(source_of(str(tmp_path), label_from=".cls", label_names=str(tmp_path / "names.json")))

    assert rows["expected"].to_pylist() == ["springer", "9"]


def test_a_label_that_no_member_has_is_an_error(tmp_path):
    (tmp_path / "a.tar").write_bytes(pack([("1.jpg", b"x"), ("1.txt", b"1")]))

    with pytest.raises(SourceError, match=r"source\.label_from: no member ends with \.cls"):
        rows_of(source_of(str(tmp_path), label_from=".cls"))


@pytest.mark.parametrize(
    ("label_from", "data"),
    [
        (".cls", b""),
        (".cls", b" \n"),
        (".cls", b"\xef\xbb\xbf"),
        (".json", b""),
        (".json", b"null"),
        (".json", b"NaN"),
        (".json", b'" "'),
        (".json:label", b"{}"),
        (".json:label", b'{"label": null}'),
    ],
)
def test_a_label_that_says_nothing_is_none_and_the_image_is_counted(tmp_path, caplog, label_from, data):
    suffix, colon, _ = label_from.partition(":")
    good = b'{"label": "good"}' if colon else b'"good"'
    members = [("1.jpg", b"x"), (f"1{suffix}", data), ("2.jpg", b"x"), (f"2{suffix}", good), ("3.jpg", b"x")]
    (tmp_path / "a.tar").write_bytes(pack(members))

    rows = rows_of(source_of(str(tmp_path), label_from=label_from))

    assert rows["expected"].to_pylist() == [None, "good" if suffix == ".json" else '"good"', None]
    words = f"2 of 3 images have no label from source.label_from: {label_from}; the first is {tmp_path}/a.tar#1.jpg"
    assert words in caplog.text


@pytest.mark.parametrize(
    ("label_from", "data", "expected"),
    [
        (".cls", b"\xef\xbb\xbf7\r\n", "7"),
        (".json", b'\xef\xbb\xbf"tench"', "tench"),
        (".json", b"7.0", "7"),
        (".json", b"-0.0", "0"),
        (".json", b"7.25", "7.25"),
        (".json", b"true", "true"),
        (".json:label", b'{"label": 12345678901234567890}', "12345678901234567890"),
    ],
)
def test_a_label_is_the_same_in_every_way_to_write_it(tmp_path, label_from, data, expected):
    (tmp_path / "a.tar").write_bytes(pack([("1.jpg", b"x"), ("1" + label_from.partition(":")[0], data)]))

    assert rows_of(source_of(str(tmp_path), label_from=label_from))["expected"].to_pylist() == [expected]


def test_a_label_without_a_class_is_none_where_classes_have_names(tmp_path):
    members = [(f"{number}{suffix}", data) for number in range(4) for suffix, data in ((".jpg", b"x"), (".cls", b"-1"))]
    (tmp_path / "a.tar").write_bytes(
        pack([*members, ("4.jpg", b"x"), ("4.cls", b"1.0"), ("5.jpg", b"x"), ("5.cls", b"0")])
    )
    (tmp_path / "list.json").write_text('["tench", "springer"]')
    (tmp_path / "signs.json").write_text('{"-1": "minus", "1.0": "plus"}')

    def labels(**spec):
        return rows_of(source_of(str(tmp_path), label_from=".cls", **spec))["expected"].to_pylist()

    assert labels(label_names=str(tmp_path / "list.json")) == [None, None, None, None, "springer", "tench"]
    assert labels(label_names=str(tmp_path / "signs.json")) == ["minus"] * 4 + ["plus", "0"]
    assert labels() == ["-1"] * 4 + ["1.0", "0"]


@pytest.mark.parametrize(
    ("archives", "label_from", "text"),
    [
        (
            [[("1.jpg", b"x"), ("1.json", b'{"label": 1, "caption": "x"}'), ("2.jpg", b"x")]],
            ".json:lable",
            r"no \.json has the key 'lable'; one has label, caption, in 1 archive at",
        ),
        (
            [[("1.jpg", b"x"), ("1.json", b'{"\\ud83d": 1}')]],
            ".json:label",
            r"no \.json has the key 'label'; one has .ud83d",
        ),
        ([[("1.jpg", b"x"), ("1.json", b'{"label": null}')]], ".json:label", r"each \.json is empty, or null"),
        ([[("1.jpg", b"x"), ("1.cls", b"")]], ".cls", r"each \.cls is empty, or null"),
        (
            [[("1.jpg", b"x"), ("2.jpg", b"x")], [("1.cls", b"1"), ("2.cls", b"2")]],
            ".cls",
            r"none of 2 images has a label: what ends with \.cls \(2 members\) stands in other samples; .*--sort=name",
        ),
        ([[("1.jpg", b"x"), ("2.jpg", b"x"), ("1.cls", b"1")]], ".cls", "none of 2 images has a label"),
        ([[("a/1.jpg", b"x"), ("b/1.cls", b"1")]], ".cls", "none of 1 image has a label"),
    ],
)
def test_labels_of_which_no_image_has_one_are_an_error_with_the_reason(tmp_path, archives, label_from, text):
    for number, members in enumerate(archives):
        (tmp_path / f"{number}.tar").write_bytes(pack(members))

    with pytest.raises(SourceError, match=rf"source\.label_from: {text}"):
        rows_of(source_of(str(tmp_path), label_from=label_from))


def test_labels_that_stand_apart_from_their_images_are_counted(tmp_path, caplog):
    members = [("1.jpg", b"x"), ("1.cls", b"1"), ("2.jpg", b"x"), ("3.jpg", b"x"), ("2.cls", b"2"), ("4.txt", b"4")]
    (tmp_path / "a.tar").write_bytes(pack(members))
    source = source_of(str(tmp_path), label_from=".cls")

    assert rows_of(source)["expected"].to_pylist() == ["1", None, None]
    assert [(each.kind, each.count, each.example) for each in source.left_out] == [
        ("samples with a label and without an image", 1, f"{tmp_path}/a.tar#2"),
        ("samples without an image", 1, f"{tmp_path}/a.tar#4"),
    ]
    assert "2 of 3 images have no label" in caplog.text


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("1.jpg", b"a"), ("1.cls", b"A"), ("1.jpg", b"b"), ("1.cls", b"B")], {b"a": "A", b"b": "B"}),
        ([("1.cls", b"A"), ("1.jpg", b"a"), ("1.cls", b"B"), ("1.jpg", b"b")], {b"a": "A", b"b": "B"}),
        ([("1.jpg", b"a"), ("1.cls", b"A"), ("1.JPG", b"b"), ("1.CLS", b"B")], {b"a": "A", b"b": "B"}),
        ([("1.jpg", b"a"), ("1.jpg", b"b"), ("1.cls", b"B")], {b"a": None, b"b": "B"}),
        (
            [("1.jpg", b"a"), ("1.cls", b"A"), ("2.jpg", b"c"), ("1.jpg", b"b"), ("1.cls", b"B")],
            {b"a": "A", b"c": None, b"b": "B"},
        ),
    ],
)
def test_each_of_two_samples_of_one_name_has_its_own_label(tmp_path, members, expected):
    (tmp_path / "a.tar").write_bytes(pack(members))
    source = source_of(str(tmp_path), label_from=".cls")

    rows = rows_of(source)

    found = [handle() for handle in source.read(rows)]
    assert dict(zip(found, rows["expected"].to_pylist(), strict=True)) == expected


def test_a_sample_does_not_go_on_in_an_archive_that_was_joined(tmp_path):
    one, other = pack([("1.jpg", b"a")]), pack([("1.cls", b"B"), ("1.png", b"b")])
    (tmp_path / "a.tar").write_bytes(one + other)

    rows = rows_of(source_of(str(tmp_path), label_from=".cls"))

    assert [
        (uri[-5:], label) for uri, label in zip(rows["uri"].to_pylist(), rows["expected"].to_pylist(), strict=True)
    ] == [
        ("1.jpg", None),
        ("1.png", "B"),
    ]


def test_of_several_images_the_plain_one_counts(tmp_path):
    members = [
        "1.seg.png",
        "1.jpg",
        "1.png",
        "2.0.jpg",
        "2.1.jpg",
        "3.jpg",
        "3.seg.png",
        ".hidden.jpg",
        "README",
        "d/._4.jpg",
    ]
    (tmp_path / "a.tar").write_bytes(pack([(name, name.encode()) for name in members]))

    source = source_of(str(tmp_path))
    rows = rows_of(source)

    assert [uri.partition("#")[2] for uri in rows["uri"].to_pylist()] == ["1.jpg", "2.0.jpg", "3.jpg"]
    assert [(each.kind, each.count) for each in source.left_out] == [
        ("further images of samples that have several", 2),
        ("members whose name begins with a dot", 2),
        ("members without a suffix", 1),
    ]
    assert [each.example.partition("#")[2] for each in source.left_out] == ["1", ".hidden.jpg", "README"]


def test_samples_without_an_image_are_left_out_and_counted(tmp_path):
    for archive in "ab":
        (tmp_path / f"{archive}.tar").write_bytes(pack([("1.cls", b"1"), ("2.jpg", b"x"), ("3.txt", b"3")]))

    source = source_of(str(tmp_path))

    assert rows_of(source).num_rows == 2
    assert [(each.kind, each.count) for each in source.left_out] == [("samples without an image", 4)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("", "0123"), ("shard-1.tar", "1"), ("shard-{0..2}.tar", "012"), ("*-3.tar", "3"), ("shard-?.tar", "0123")],
)
def test_an_archive_a_folder_a_glob_or_a_range(root, pattern, found):
    uri, write = root
    for number in range(4):
        write(f"shard-{number}.tar", pack([("x.jpg", str(number).encode())]))
    source = source_of(f"{uri}/{pattern}")

    assert [handle() for handle in source.read(rows_of(source))] == [number.encode() for number in found]


def test_numbers_of_a_range_keep_their_zeros_and_must_all_be_there(root):
    uri, write = root
    for number in (8, 9, 10):
        write(f"{number:03d}.tar", pack([("x.jpg", str(number).encode())]))

    assert rows_of(source_of(f"{uri}/{{008..010}}.tar")).num_rows == 3
    with pytest.raises(SourceError, match=r"nothing at .*/011\.tar"):
        rows_of(source_of(f"{uri}/{{008..011}}.tar"))
    with pytest.raises(SourceError, match="runs backwards"):
        rows_of(source_of(f"{uri}/{{3..1}}.tar"))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda tar: tar[:4_000], r"cut short: '2\.jpg' ends"),
        (lambda tar: tar[: 512 + 2_048 + 200], "cut short at byte 2,560"),
        (lambda tar: tar[: 2 * (512 + 2_048)], "cut short at byte 5,120: the archive has no end mark"),
        (lambda tar: tar[:2_560] + b"\xff" * 512 + tar[3_072:], "damaged at byte 2,560"),
        (lambda tar: b"not a tar " * 100, "it is not a tar"),
        (lambda tar: b"", "it is empty"),
        (lambda tar: b"\x1f\x8b" + tar, "compressed with gzip"),
        (lambda tar: b"\x28\xb5\x2f\xfd" + tar, "compressed with zstd"),
    ],
)
def test_a_damaged_archive_is_an_error_and_never_a_shorter_one(root, damage, text):
    uri, write = root
    tar = pack([("1.jpg", b"x" * 2_000), ("2.jpg", b"y" * 2_000)])
    write("a.tar", pack([("0.jpg", b"x")]))
    write("b.tar", damage(tar))

    with pytest.raises(SourceError, match=rf"b\.tar: .*{text}"):
        rows_of(source_of(uri))


def test_no_archives_and_no_images_are_errors(root):
    uri, write = root
    with pytest.raises(SourceError, match="nothing at"):
        rows_of(source_of(uri))

    write("a.tar.gz", b"x")
    with pytest.raises(SourceError, match=r"none of the 1 objects .* ends with \.tar"):
        rows_of(source_of(uri))

    write("a.tar", pack([("1.txt", b"x")]))
    with pytest.raises(SourceError, match=r"no images in 1 archive at .*/data; .*samples without an image: 1"):
        rows_of(source_of(uri))


def test_each_bad_member_is_a_kind_of_its_own(s3):
    members = [("1.jpg", b"good"), ("2.jpg", b""), ("3.jpg", b"x" * (MAX_BYTES + 1)), ("4.jpg", b"good")]
    for name in "ab":
        s3.put(f"{name}.tar", pack(members))
    source = source_of(s3.uri)
    rows = rows_of(source)
    s3.delete("b.tar")

    found = [outcome(handle) for handle in source.read(rows)]

    assert found == [b"good", "empty", "too-large", b"good", "missing", "empty", "too-large", "missing"]


@pytest.mark.parametrize("place", ["local", "s3"])
def test_an_archive_that_was_replaced_gives_no_wrong_image(place, request, tmp_path):
    folder = open_folder(str(tmp_path) if place == "local" else request.getfixturevalue("s3").uri)
    folder.put("a.tar", pack([("1.jpg", b"x" * 5_000), ("2.jpg", b"y")]))
    source = source_of(folder.uri)
    rows = rows_of(source)
    # As long, with its members where the old ones were: nothing but the etag tells.
    folder.put("a.tar", pack([("1.jpg", b"z" * 5_000), ("2.jpg", b"y")]))

    assert [outcome(handle) for handle in source.read(rows)] == ["changed", "changed"]


def test_neighbours_are_read_in_one_request_and_large_gaps_are_not(flaky, s3):
    members = [(f"{number:03d}.jpg", bytes([number]) * 10_000) for number in range(100)]
    members.insert(50, ("skipped.bin", b"0" * 3_000_000))
    s3.put("a.tar", pack(members))
    source = source_of(s3.uri)
    rows = rows_of(source)
    flaky.requests.clear()
    flaky.sent = 0

    assert [handle() for handle in source.read(rows)] == [bytes([number]) * 10_000 for number in range(100)]
    assert flaky.requests["GET"] == 2
    assert flaky.sent < 1_200_000


def test_listing_skips_over_large_members(flaky, s3):
    s3.put("a.tar", pack([(f"{number}.jpg", b"x" * 12_000_000) for number in range(3)]))
    source = open_source(WebdatasetSource(kind="webdataset", uri=f"{s3.uri}/a.tar"), Limits(10**9, 1 << 30))
    flaky.sent = 0

    rows = rows_of(source)

    assert rows.num_rows == 3
    assert flaky.sent < 18_000_000


def test_it_outlasts_a_store_that_fails_for_a_while(flaky, s3):
    for name in "ab":
        s3.put(f"{name}.tar", pack([(f"{number}.jpg", f"{name}{number}".encode() * 1_000) for number in range(30)]))
    source = source_of(s3.uri)
    flaky.fail(503, "reset", "cut")
    rows = rows_of(source)
    flaky.fail(*["cut", 500, "reset"])

    expected = [f"{name}{number}".encode() * 1_000 for name in "ab" for number in range(30)]
    assert [handle() for handle in source.read(rows)] == expected


def test_a_limit_ends_the_listing_early(flaky, s3):
    for number in range(30):
        s3.put(f"{number:02d}.tar", pack([(f"{image}.jpg", b"x") for image in range(10)]))

    rows = rows_of(source_of(s3.uri, limit=12))

    assert [uri.rpartition("/")[2] for uri in rows["uri"].to_pylist()] == [
        *(f"00.tar#{image}.jpg" for image in range(10)),
        "01.tar#0.jpg",
        "01.tar#1.jpg",
    ]
    assert flaky.requests["GET"] < 15


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60).filter(
    lambda name: name.strip(". ")
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_sample_is_lost_and_each_has_its_own_bytes(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("tars")
    images = {}
    for archive in ("a#1.tar", "b%.tar"):
        stems = data.draw(st.lists(names.filter(lambda name: "." not in name), unique=True, min_size=1, max_size=6))
        members = []
        for stem in stems:
            image = data.draw(st.binary(min_size=1, max_size=1_500))
            suffixes = data.draw(st.permutations([".jpg", ".cls", ".txt"]))
            members += [
                (stem + suffix, image if suffix == ".jpg" else f"of {stem} it is".encode()) for suffix in suffixes
            ]
            escaped = stem.replace("%", "%25").replace("#", "%23")
            images[f"{root}/{archive}#{escaped}.jpg"] = (image, f"of {stem} it is")
        (root / archive).write_bytes(pack(members))
    source = source_of(str(root), label_from=".txt")

    rows = rows_of(source)

    assert dict(zip(rows["uri"].to_pylist(), rows["expected"].to_pylist(), strict=True)) == {
        uri: label for uri, (_, label) in images.items()
    }
    chosen = rows.take(data.draw(st.permutations(range(rows.num_rows))))
    found = [handle() for handle in source.read(chosen)]
    assert found == [images[uri][0] for uri in chosen["uri"].to_pylist()]
