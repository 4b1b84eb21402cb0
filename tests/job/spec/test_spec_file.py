"""Reading a spec's file: YAML, JSON, standard input, and files that are no spec."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from job.errors import SpecError, UsageError
from job.spec.spec import JobSpec
from job.spec.spec_file import MAX_BYTES, YamlLoader, load_spec, parse_spec, spec_of

YAML = """\
# A comment.
version: 1
name: imagenette
source:
  uri: s3://anonymous@bucket/val/
  suffixes: [.jpg, .PNG]
  label_from: directory
model: {kind: torchvision, name: resnet152, weights: none}
compute:
  gpus_per_replica: 0.5
output:
  uri: "runs/\\u00fc \\U0001F41F"
errors:
  max_fraction: 1e-3
"""
JSON = """\
{
\t"version": 1, "name": "imagenette",
\t"source": {"uri": "s3://anonymous@bucket/val/", "suffixes": [".jpg", ".PNG"], "label_from": "directory"},
\t"model": {"kind": "torchvision", "name": "resnet152", "weights": "none"},
\t"compute": {"gpus_per_replica": 0.5},
\t"output": {"uri": "runs/\\u00fc \\ud83d\\udc1f"},
\t"errors": {"max_fraction": 1e-3}
}
"""


class YamlDumper(yaml.SafeDumper):
    """Quotes what `YamlLoader` would read as something else than text."""

    yaml_implicit_resolvers = YamlLoader.yaml_implicit_resolvers


TEXT = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["none", "null", "1e5", "010", "yes", "~", ".5", "2024-01-01", "a: b"]
)
PATHS = TEXT.filter(lambda text: text.strip() and not re.search(r"\0|://|^(s3|gs|az)(:|$)", text))
URIS = PATHS | PATHS.map(lambda path: f"s3://anonymous@bucket/{path}")
COLUMNS = st.lists(TEXT.map(lambda text: f"c{text}"), max_size=3, unique=True)
COMMON = {"label_names": st.none() | URIS, "limit": st.none() | st.integers(1, 10**12)}
SOURCES = st.one_of(
    st.fixed_dictionaries(
        {"uri": URIS},
        optional={
            "kind": st.just("files"),
            "suffixes": st.lists(st.sampled_from([".jpg", ".Ü", ".1"]), min_size=1),
            "label_from": st.sampled_from(["none", "directory"]),
            **COMMON,
        },
    ),
    st.fixed_dictionaries(
        {"uri": URIS, "kind": st.just("parquet")},
        optional={"image_column": TEXT, "label_from": TEXT, "keep": COLUMNS, **COMMON},
    ),
    st.fixed_dictionaries(
        {"uri": URIS, "kind": st.just("webdataset")},
        optional={"label_from": TEXT.map(lambda text: f".{text}"), **COMMON},
    ),
    st.fixed_dictionaries(
        {"uri": URIS, "kind": st.just("list")},
        optional={"uri_column": TEXT, "label_from": TEXT, "keep": COLUMNS, **COMMON},
    ),
    st.fixed_dictionaries(
        {"uri": URIS, "kind": st.just("run")},
        optional={"where": TEXT, "label_from": TEXT, "keep": COLUMNS, "crops": st.booleans(), **COMMON},
    ),
)
SPECS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,2}", fullmatch=True),
        "source": SOURCES,
        "model": st.fixed_dictionaries(
            {"kind": st.just("transformers"), "name": PATHS},
            optional={
                "task": st.sampled_from(["classify", "detect"]),
                "score_threshold": st.floats(0, 1),
                "compile": st.booleans(),
            },
        ),
        "output": st.fixed_dictionaries({"uri": URIS}, optional={"rows_per_file": st.integers(1, 10**9)}),
    },
    optional={
        "compute": st.fixed_dictionaries(
            {},
            optional={
                "gpus_per_replica": st.just("auto") | st.integers(0, 8) | st.floats(0.0001, 1),
                "batch_size": st.integers(1, 4096),
            },
        ),
        "errors": st.fixed_dictionaries({}, optional={"max_fraction": st.floats(0, 1)}),
    },
)


def test_yaml_json_and_standard_input_give_the_same_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "job.yaml").write_text(YAML)
    (tmp_path / "job.json").write_text(JSON)
    spec = load_spec(str(tmp_path / "job.yaml"))
    assert spec.output.uri == "runs/ü 🐟"
    assert spec.errors.max_fraction == 0.001
    assert load_spec(str(tmp_path / "job.json")) == spec
    for text in (YAML, JSON, f"\ufeff{JSON}"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert load_spec("-") == spec


def test_a_mapping_in_braces_may_be_yaml() -> None:
    text = "{name: x, source: {uri: a}, model: {kind: python, name: 'a:b'}, output: {uri: r}}"
    assert parse_spec(text.encode(), "standard input").name == "x"
    with pytest.raises(SpecError, match="line 1, column 2: Expecting property name"):
        parse_spec(text.encode(), "job.json")


def test_plain_words_mean_what_they_say() -> None:
    text = """
name: x
source: {kind: parquet, uri: t, label_from: on, keep: [no, 2024-01-01, 0x1F, 1_000, 1:30, =, Yes]}
model: {kind: python, name: a:b, top_k: 010, labels: ~, compile: True}
output: {uri: r}
errors: {max_fraction: .5}
"""
    spec = parse_spec(text.encode(), "job.yaml")
    assert spec.source.label_from == "on"
    assert spec.source.model_dump()["keep"] == ("no", "2024-01-01", "0x1F", "1_000", "1:30", "=", "Yes")
    assert (spec.model.top_k, spec.model.labels, spec.model.compile) == (10, None, True)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "is empty; a spec has at least name, source, model and output"),
        (b"# nothing\n---\n", "is empty; a spec has at least name, source, model and output"),
        (b"- a\n", "must be a mapping that begins with name, source, model and output (got ['a'])"),
        (b"hello", "must be a mapping that begins with name, source, model and output (got 'hello')"),
        (b"a: b\n  c: d\n", "line 2, column 4: mapping values are not allowed here"),
        (b"a: [b\n", "line 2, column 1: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        (
            b"a:\n\t- b\n",
            "line 2, column 1: while scanning for the next token, found character '\\t' that cannot start any token",
        ),
        (
            b"a: 1\n---\nb: 2\n",
            "line 2, column 1: expected a single document in the stream, but found another document",
        ),
        (b"? [a]\n: b\n", "line 1, column 3: while constructing a mapping, found unhashable key"),
        (
            b"name: !!python/name:os.system\n",
            "line 1, column 7: could not determine a constructor for the tag 'tag:yaml.org,2002:python/name:os.system'",
        ),
        (b"name: \x01", "unacceptable character #x0001: special characters are not allowed"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"[" * 20_000, "is nested too deep"),
        (b'{"a":' * 20_000, "is nested too deep"),
        (b"limit: " + b"9" * 5000, "has a number with too many digits"),
        (b"x" * (MAX_BYTES + 1), "has more than 1,048,576 bytes; a spec is a short text"),
    ],
)
def test_a_file_that_is_no_spec_is_named_with_the_reason(data: bytes, line: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(data, "job.yaml")
    assert str(caught.value) == f"job.yaml has 1 problem:\n  {line}"
    assert caught.value.exit_code == 2


def test_wrong_json_is_answered_with_its_place() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(b'{"name": "x",\n "model": }', "job.json")
    assert caught.value.problems == ["line 2, column 11: Expecting value"]


def test_a_key_that_is_given_twice_is_a_problem_beside_the_others() -> None:
    text = "name: x\nsource: {uri: a}\nmodel:\n  kind: python\n  name: a:b\n  name: c:d\noutput: {}\nname: y\n"
    with pytest.raises(SpecError) as caught:
        parse_spec(text.encode(), "job.yaml")
    assert caught.value.problems == [
        "name: is given twice, again on line 8",
        "model.name: is given twice, again on line 6",
        "output.uri: is required",
    ]


def test_a_key_that_is_given_twice_is_the_only_problem() -> None:
    good = '{"name": "x", "source": {"uri": "a"}, "model": {"kind": "python", "name": "a:b"}, "output": {"uri": "r"}'
    parse_spec(f"{good}}}".encode(), "job.json")
    with pytest.raises(SpecError) as caught:
        parse_spec(f'{good}, "output": {{"uri": "s"}}}}'.encode(), "job.json")
    assert caught.value.problems == ["output: is given twice"]


def test_a_mapping_inside_itself_is_refused() -> None:
    with pytest.raises(SpecError, match=r"name: must be text \(got {'a': {...}}\)"):
        parse_spec(b"name: &a {a: *a}\nsource: {uri: a}\n", "job.yaml")


def test_half_of_a_surrogate_pair_is_no_text_wherever_it_stands() -> None:
    tree = {"name": "a", "source": {"uri": "\ud800", "suffixes": [".jpg", "\udc00"]}, "\udfff": 1}
    for call in (lambda: parse_spec(json.dumps(tree).encode(), "job.json"), lambda: spec_of(tree, "job.json")):
        with pytest.raises(SpecError) as caught:
            call()
        assert caught.value.problems == [
            "source.uri: has half of a surrogate pair (got '\\ud800')",
            "source.suffixes[1]: has half of a surrogate pair (got '\\udc00')",
            "a key: has half of a surrogate pair (got '\\udfff')",
        ]
    assert parse_spec(JSON.encode(), "job.json").output.uri == "runs/ü 🐟"


def test_many_problems_stand_a_line_each() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(YAML.replace("weights", "wieghts").replace("runs", "ftp://x").encode(), "job.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "job.yaml has 2 problems:"
    assert [line.split(":")[0] for line in lines[1:]] == ["  model.wieghts", "  output.uri"]


def test_a_missing_file_is_answered_with_the_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(YAML)
    with pytest.raises(UsageError, match=r"jbo\.yaml does not exist; did you mean .*/job\.yaml\?"):
        load_spec(str(tmp_path / "jbo.yaml"))
    with pytest.raises(UsageError, match=r"does not exist$"):
        load_spec("nowhere/at/all")


def test_a_folder_or_an_unreadable_file_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder; name the spec in it"):
        load_spec(str(tmp_path))
    (tmp_path / "job.yaml").write_text(YAML)
    with pytest.raises(UsageError, match="cannot be read: Not a directory"):
        load_spec(str(tmp_path / "job.yaml" / "x"))
    with pytest.raises(UsageError, match="cannot be read: embedded null byte"):
        load_spec("a\0b")


def test_reading_a_spec_loads_nothing_heavy() -> None:
    program = (
        "import json, sys, job.spec.spec_file; job.spec.spec_file.load_spec('-'); print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], input=YAML, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "job.spec.torchvision_names" in loaded
    heavy = {"torch", "torchvision", "transformers", "ray", "pyarrow", "boto3", "obstore", "numpy", "PIL", "kubernetes"}
    assert not loaded & heavy


@settings(max_examples=150, deadline=None)
@given(SPECS)
def test_a_spec_survives_yaml_and_json(data: dict[str, Any]) -> None:
    spec = JobSpec.model_validate(data)
    dumped = spec.model_dump(mode="json")
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec
    assert parse_spec(yaml.dump(dumped, Dumper=YamlDumper).encode(), "spec.yaml") == spec
    assert parse_spec(json.dumps(dumped).encode(), "spec.json") == spec
