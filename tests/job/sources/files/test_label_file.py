"""Labels of files from a table: which line is which image's, and what is counted or refused where they do not meet."""

import json

import pytest
from sources import as_rows_name_it, rows_of

from job.errors import SourceError
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import FilesSource

IMAGES = ["a.jpg", "d/b c.jpg", "d/ü.jpg", "e.jpg"]


@pytest.fixture(params=["local", "anonymous"])
def root(request, tmp_path):
    """A place for images, by its URI, and a function that puts one there."""
    if request.param == "local":

        def write(name, data):
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        uri = str(tmp_path / "in")
    else:
        s3 = request.getfixturevalue("s3")
        uri = f"{s3.anonymous_uri}/in"

        def write(name, data):
            s3.put(f"in/{name}", data)

    for name in IMAGES:
        write(name, b"x")
    return uri, write


def labels_of(uri, **spec):
    """Labels by name, and what was left out."""
    source = open_source(FilesSource(uri=uri, **spec), Limits(10**9, 10**6))
    rows = rows_of(source)
    names = [each.removeprefix(as_rows_name_it(uri) + "/") for each in rows["uri"].to_pylist()]
    counts = {each.kind: each.count for each in source.left_out if "names that end" not in each.kind}
    return dict(zip(names, rows["expected"].to_pylist(), strict=True)), counts


def test_imagefolders_metadata_beside_the_images(root):
    uri, write = root
    lines = [
        {"file_name": "b c.jpg", "label": 3, "text": "more"},
        {"file_name": "./ü.jpg", "label": "cat"},
        {"file_name": "../e.jpg", "label": None},
        {"file_name": "gone.jpg", "label": "dog"},
        {"file_name": "b c.jpg", "label": "again"},
    ]
    write("d/metadata.jsonl", "\n".join(map(json.dumps, lines)).encode() + b"\n\n")

    assert labels_of(uri, label_file=f"{uri}/d/metadata.jsonl") == (
        {"a.jpg": None, "d/b c.jpg": "3", "d/ü.jpg": "cat", "e.jpg": None},
        {
            "images without a line in source.label_file, which have no expected label": 1,
            "lines of source.label_file without an image": 1,
            "lines of source.label_file that name an image once more": 1,
        },
    )


def test_a_label_of_json_is_the_same_text_as_in_other_sources(root):
    uri, write = root
    lines = [{"file_name": "a.jpg", "label": 1.0}, {"file_name": "d/ü.jpg", "label": float("nan")}]
    lines += [{"file_name": "e.jpg", "label": 0.5}, {"file_name": "d/b c.jpg", "label": True}]
    write("labels.jsonl", "\n".join(map(json.dumps, lines)).encode())

    labels, _ = labels_of(uri, label_file=f"{uri}/labels.jsonl")
    assert labels == {"a.jpg": "1", "d/b c.jpg": "true", "d/ü.jpg": None, "e.jpg": "0.5"}


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_table_elsewhere_names_images_below_the_source_or_by_their_uris(root, tmp_path, suffix):
    uri, _ = root
    whole = f"file://{uri}" if uri.startswith("/") else as_rows_name_it(uri).replace("s3:", "s3a:")
    rows = [
        ("\ufeffid", "path", "class"),
        (1, "a.jpg", '"a ""b"",\tc"'),
        (2, "d/b c.jpg", "1,5" if suffix == "tsv" else "NaN"),
        (3, f"{whole}/d/ü.jpg", ""),
        (4, f"{uri}/e.jpg", "007"),
    ]
    between = {"csv": ",", "tsv": "\t"}[suffix]
    table = tmp_path / f"labels.{suffix}"
    table.write_text("\r\n".join(between.join(map(str, row)) for row in rows))

    labels, counts = labels_of(uri, label_file=str(table), name_column="path", label_column="class")

    assert labels == {
        "a.jpg": 'a "b",\tc',
        "d/b c.jpg": "1,5" if suffix == "tsv" else None,
        "d/ü.jpg": None,
        "e.jpg": "007",
    }
    assert counts == {}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.csv", "file,label\na.jpg,1\n", "source.name_column: .*no column 'file_name'; its columns are file, label"),
        ("l.csv", "file_name,class\na.jpg,1\n", "source.label_column: .*no column 'label'; .*file_name, class"),
        ("l.csv", "file_name,label\na.jpg\n", "line 2 of .* has 1 of 2 columns"),
        (
            "l.csv",
            "file_name,label\nA.JPG,1\nx.png,2\n",
            "none of the 2 lines .*file_name is 'A.JPG' there.*is 'a.jpg'",
        ),
        ("l.csv", "file_name,label\n", "none of the 0 lines"),
        ("l.csv", "", "no column 'file_name'"),
        ("l.csv", "file_name,label\n\0\x80", "source.label_file: .*not text"),
        ("l.jsonl", '{"file_name": "a.jpg", "lable": 1}', "no line of .* has 'label'; the first has file_name, lable"),
        ("l.jsonl", '{"file_name": "a.jpg", "label": 1}\n{"label": 2}', "line 2 of .* has no text 'file_name'"),
        ("l.jsonl", '{"file_name": "a.jpg", "label": [1]}', "a label is a text or a number"),
        ("l.jsonl", "[1]\nno", "has no text 'file_name'"),
        ("l.jsonl", "no", "line 1 of .* is not JSON"),
        ("there is.csv", None, "there is no "),
    ],
)
def test_a_table_that_labels_nothing_is_refused_with_why(tmp_path, name, text, said):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(b"x")
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=said):
        labels_of(str(tmp_path / "in"), label_file=str(tmp_path / name))


def test_labels_take_the_names_of_a_file_and_a_limit_counts_no_lines(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("file_name,label\n" + "".join(f"{n}.jpg,{n % 2}\n" for n in range(5)))
    (tmp_path / "names.json").write_text('["even", "odd"]')
    uri, spec = str(tmp_path), {"label_file": f"{tmp_path}/labels.csv", "label_names": f"{tmp_path}/names.json"}
    assert [*labels_of(uri, **spec)[0].values()] == ["even", "odd", "even", "odd", "even"]
    assert labels_of(uri, limit=2, **spec) == ({"0.jpg": "even", "1.jpg": "odd"}, {})
