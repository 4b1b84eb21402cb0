"""How a wrong spec is answered: every problem at once, each as `path: what (got value)`."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.spec.problems import problems, show
from job.spec.spec import SOURCES

GOOD: dict[str, Any] = {
    "name": "x",
    "source": {"kind": "files", "uri": "images"},
    "model": {"kind": "torchvision", "name": "resnet152"},
    "compute": {},
    "output": {"uri": "runs"},
    "errors": {},
    "report": {},
}


@pytest.mark.parametrize(
    ("section", "wrong", "line"),
    [
        (
            "model",
            {"wieghts": "IMAGENET1K_V1"},
            "model.wieghts: unknown key; did you mean weights? (got 'IMAGENET1K_V1')",
        ),
        ("model", {"Weights": "none"}, "model.Weights: unknown key; did you mean weights? (got 'none')"),
        ("model", {"top-k": 3}, "model.top-k: unknown key; did you mean top_k? (got 3)"),
        ("model", {"batch_size": 3}, "model.batch_size: unknown key; did you mean compute.batch_size? (got 3)"),
        ("errors", {"report": {}}, "errors.report: unknown key; did you mean report at the top level? (got {})"),
        ("compute", {"uri": "x"}, "compute.uri: unknown key; did you mean source.uri or output.uri? (got 'x')"),
        ("compute", {"zzz": None}, "compute.zzz: unknown key (got null)"),
        (
            "source",
            {"kind": "parqet"},
            "source.kind: must be one of files, parquet, webdataset, list, run; did you mean parquet? (got 'parqet')",
        ),
        (
            "source",
            {"kind": "xyzzy"},
            "source.kind: must be one of files, parquet, webdataset, list, run (got 'xyzzy')",
        ),
        ("source", {"kind": None}, "source.kind: must be one of files, parquet, webdataset, list, run (got null)"),
        (
            "source",
            {"kind": ["files"]},
            "source.kind: must be one of files, parquet, webdataset, list, run; did you mean files? (got ['files'])",
        ),
        (
            "source",
            {"image_column": "image"},
            "source.image_column: not a key of a files source (parquet sources have it) (got 'image')",
        ),
        (
            "source",
            {"kind": "parquet", "suffixes": [".jpg"]},
            "source.suffixes: not a key of a parquet source (files and list sources have it) (got ['.jpg'])",
        ),
        ("source", {"sufixes": [".jpg"]}, "source.sufixes: unknown key; did you mean suffixes? (got ['.jpg'])"),
        ("source", {"suffixes": [".jpg", 3]}, "source.suffixes[1]: must be text (got 3)"),
        ("source", {"suffixes": ".jpg"}, "source.suffixes: must be a list (got '.jpg')"),
        ("source", {"suffixes": []}, "source.suffixes: must not be empty (got [])"),
        ("source", {"limit": 0}, "source.limit: must be at least 1 (got 0)"),
        (
            "source",
            {"label_from": "folder"},
            "source.label_from: must be one of none, directory; did you mean directory? (got 'folder')",
        ),
        ("compute", {"batch_size": 0}, "compute.batch_size: must be at least 1 (got 0)"),
        ("compute", {"batch_size": "8"}, "compute.batch_size: must be a whole number (got '8')"),
        ("compute", {"batch_size": True}, "compute.batch_size: must be a whole number (got true)"),
        ("compute", {"batch_size": 1.5}, "compute.batch_size: must be a whole number (got 1.5)"),
        ("compute", {"gpus_per_replica": "one"}, "compute.gpus_per_replica: must be auto or a number (got 'one')"),
        ("compute", {"gpus_per_replica": -1}, "compute.gpus_per_replica: must be auto or at least 0 (got -1)"),
        (
            "compute",
            {"gpus_per_replica": 1.5},
            "compute.gpus_per_replica: must be auto or at most 1 or a whole number; only one GPU can be shared "
            "(got 1.5)",
        ),
        ("compute", {"cpu_fallback": "no"}, "compute.cpu_fallback: must be true or false (got 'no')"),
        ("errors", {"max_fraction": 2}, "errors.max_fraction: must be at most 1 (got 2)"),
        ("errors", {"max_fraction": float("inf")}, "errors.max_fraction: must be a finite number (got inf)"),
        ("report", {"samples": 501}, "report.samples: must be at most 500 (got 501)"),
        (
            "output",
            {"uri": "ftp://x"},
            "output.uri: unknown scheme ftp://; s3://, gs://, az://, abfss://, file:// and local paths are read (got 'ftp://x')",
        ),
        (
            "model",
            {"precision": "bf16"},
            "model.precision: must be one of auto, float32, bfloat16, float16; did you mean bfloat16? (got 'bf16')",
        ),
        (
            "model",
            {"name": "resnet125"},
            "model.name: torchvision has no classification or detection model of this name; did you mean resnet152? "
            "(got 'resnet125')",
        ),
        (
            "model",
            {"weights": "imagenet1k_v1"},
            "model.weights: resnet152 has DEFAULT, IMAGENET1K_V1, IMAGENET1K_V2, none; a state dict ends in "
            ".safetensors, .pth, .pt, .ckpt, .bin, .pth.tar; did you mean IMAGENET1K_V1? (got 'imagenet1k_v1')",
        ),
        ("model", {"task": "detect"}, "model.task: resnet152 can only classify (got 'detect')"),
        ("model", {"name": ""}, "model.name: must not be empty (got '')"),
        ("model", {"name": None}, "model.name: must be text (got null)"),
        ("model", {3: 4}, "model.3: a key must be text (got 3)"),
        (
            "model",
            {"recipe": {"resiz": 8, "crop": 8, "resize": 8}},
            "model.recipe.resiz: unknown key; did you mean resize? (got 8)",
        ),
        ("model", {"recipe": {}}, "model.recipe.resize: is required"),
        (
            "model",
            {"recipe": {"resize": 0, "crop": 8}},
            "model.recipe.resize: must be a number of pixels, or [height, width] (got 0)",
        ),
        (
            "model",
            {"recipe": {"resize": 8, "crop": [8]}},
            "model.recipe.crop: must be a number of pixels, or [height, width] (got [8])",
        ),
        (
            "model",
            {"recipe": {"resize": 256}},
            "model.recipe: needs a crop where resize is the shorter edge, so that all images get one size "
            "(got {'resize': 256})",
        ),
        (
            "model",
            {"recipe": {"resize": [8, 8], "std": [1, 0, 1]}},
            "model.recipe.std: must be three numbers greater than 0 (got [1, 0, 1])",
        ),
        (
            "model",
            {"recipe": 5},
            "model.recipe: must be the name of weights, or a mapping of resize, crop, interpolation, mean and std "
            "(got 5)",
        ),
        (
            "model",
            {"recipe": "IMAGENET1K_V3"},
            "model.recipe: resnet152 has the recipes of its weights DEFAULT, IMAGENET1K_V1, IMAGENET1K_V2; another "
            "one is a mapping with resize and crop; did you mean IMAGENET1K_V2? (got 'IMAGENET1K_V3')",
        ),
    ],
)
def test_a_problem_has_its_path_what_is_right_and_the_value(section: str, wrong: dict[Any, Any], line: str) -> None:
    assert problems(GOOD | {section: GOOD[section] | wrong}) == [line]


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"nmae": "x"}, "nmae: unknown key; did you mean name? (got 'x')"),
        ({"batch_size": 8}, "batch_size: unknown key; did you mean compute.batch_size? (got 8)"),
        ({"label_names": "l.json"}, "label_names: unknown key; did you mean source.label_names? (got 'l.json')"),
        ({"compute": None}, "compute: must be a mapping of keys (got null)"),
        ({"source": "s3://b"}, "source: must be a mapping of keys (got 's3://b')"),
        ({"source": [1]}, "source: must be a mapping of keys (got [1])"),
        ({1: 2}, "1: a key must be text (got 1)"),
        ({"version": 0}, "version: must be 1 (got 0)"),
        ({"version": "1"}, "version: must be a whole number (got '1')"),
    ],
)
def test_the_top_level_is_worded_alike(wrong: dict[Any, Any], line: str) -> None:
    assert problems(GOOD | wrong) == [line]


@pytest.mark.parametrize(
    ("section", "key", "word", "option"),
    [
        *(
            ("source", "kind", word, "files")
            for word in ("folder", "dir", "Images", "imagefolder", "s3", "jpg", "file")
        ),
        *(("source", "kind", word, "run") for word in ("predictions", "Results")),
        *(("source", "kind", word, "webdataset") for word in ("tar", "wds", "web-dataset", "Tar shards")),
        *(("source", "kind", word, "list") for word in ("csv", "txt", "JSONL", "json-lines", "inventory", "url list")),
        *(("source", "kind", word, "parquet") for word in ("hf", "huggingface", "pq", "table", "parqet")),
        *(("model", "kind", word, "transformers") for word in ("hf", "huggingface", "Hugging Face", "transformer")),
        *(("model", "kind", word, "torchvision") for word in ("torch", "pytorch", "torchvison")),
        *(("model", "kind", word, "python") for word in ("timm", "custom", "open_clip", "onnx", "pyhton")),
        *(("model", "task", word, "classify") for word in ("classification", "image-classification")),
        *(("model", "task", word, "detect") for word in ("detection", "object-detection")),
        *(("model", "precision", word, "float16") for word in ("fp16", "half")),
        ("model", "precision", "fp32", "float32"),
        ("source", "label_from", "parent", "directory"),
    ],
)
def test_what_other_tools_call_it_is_taken_for_what_it_is_here(section, key, word, option) -> None:
    (line,) = problems(GOOD | {section: GOOD[section] | {key: word}})
    assert line.startswith(f"{section}.{key}: must be one of ")
    assert line.endswith(f"; did you mean {option}? (got {word!r})")


def test_a_word_that_means_nothing_gets_no_hint() -> None:
    (line,) = problems(GOOD | {"model": GOOD["model"] | {"kind": "xyzzy"}})
    assert line == "model.kind: must be one of torchvision, transformers, python (got 'xyzzy')"


@pytest.mark.parametrize(
    ("section", "key"), [("source", "uri"), ("source", "label_names"), ("output", "uri"), ("model", "labels")]
)
def test_a_nul_character_is_no_part_of_a_uri(section, key) -> None:
    (line,) = problems(GOOD | {section: GOOD[section] | {key: "a\0b"}})
    assert line == f"{section}.{key}: has a NUL character, which neither a path nor a URI can have (got 'a\\x00b')"


def test_all_problems_are_told_at_once_in_the_order_of_the_fields() -> None:
    found = problems(
        {
            "name": "No_Name",
            "model": {"kind": "torchvision", "top_k": 0, "wieghts": "x"},
            "compute": {"batch_size": 0, "concurrency": "4"},
            "report": {"samples": -1},
            "oops": 1,
        }
    )
    assert [line.split(": ")[0] for line in found] == [
        "name",
        "source.uri",
        "model.name",
        "model.top_k",
        "model.wieghts",
        "compute.concurrency",
        "compute.batch_size",
        "output.uri",
        "report.samples",
        "oops",
    ]
    assert "output.uri: is required" in found


def test_a_wrong_kind_of_source_hides_none_of_its_other_problems() -> None:
    meant = problems(GOOD | {"source": {"kind": "parqet", "image_colum": "x", "limit": 0}})
    assert [line.split(" (")[0] for line in meant] == [
        "source.kind: must be one of files, parquet, webdataset, list, run; did you mean parquet?",
        "source.uri: is required",
        "source.limit: must be at least 1",
        "source.image_colum: unknown key; did you mean image_column?",
    ]
    unknown = problems(GOOD | {"source": {"kind": "zip", "keep": ["a"], "label_from": "b", "limit": 0, "zzz": 1}})
    assert [line.split(": ")[0] for line in unknown] == ["source.kind", "source.uri", "source.limit", "source.zzz"]


def test_a_newer_spec_asks_for_a_newer_tench_and_nothing_else() -> None:
    assert problems({"version": 2, "pipeline": []}) == [
        "version: this Tench reads version 1; use a newer Tench (got 2)"
    ]


def test_a_good_spec_has_no_problems() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (False, "false"),
        (0, "0"),
        ("a\nb", r"'a\nb'"),
        ("s3://key:secret@bucket/x", "'s3://***@bucket/x'"),
        (["s3://key:secret@bucket/" + "x" * 90], None),
        ("s3://anonymous@bucket/x", "'s3://anonymous@bucket/x'"),
        ("x" * 500, None),
        (list(range(500)), None),
        ({"a": {"b": {"c": {"d": 1}}}}, "{'a': {'b': {...}}}"),
    ],
)
def test_a_value_is_shown_short_and_without_its_password(value: object, text: str | None) -> None:
    shown = show(value)
    assert shown == (text or shown)
    assert len(shown) <= 64
    assert "secret" not in shown


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3) | st.integers(0, 2), inner, max_size=2)
    ),
    max_leaves=3,
)
KEYS = ["kind", "uri", "suffixes", "label_from", "label_names", "limit", "image_column", "uri_column", "keep", "name"]
KEYS += ["task", "weights", "labels", "top_k", "score_threshold", "precision", "compile", "gpus_per_replica"]
KEYS += ["cpu_fallback", "batch_size", "max_fraction", "max_bytes", "samples", "rows_per_file", "zzz"]


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["", *GOOD]),
    st.sampled_from([*KEYS, *GOOD]),
    JUNK,
    st.sampled_from(list(SOURCES)),
)
def test_every_problem_is_worded_here_and_not_by_pydantic(section: str, key: str, junk: object, kind: str) -> None:
    data = copy.deepcopy(GOOD)
    data["source"]["kind"] = kind
    target = data[section] if isinstance(data.get(section), dict) else data
    target[key] = junk
    for line in problems(data):
        path, _, what = line.partition(": ")
        assert path
        assert what
        assert not any(word in what for word in ("Input", "valid", "Value error", "String", "literal", "constrained"))
