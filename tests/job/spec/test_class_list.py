"""Lists of class names in every form that people have, and what is wrong with others."""

import json
from typing import Any

import pytest

from job.spec.class_list import parse_class_list

NAMES = ("tench", "chain saw", "church")
IDS = ("n01440764", "n03000684", "n03028079")


@pytest.mark.parametrize(
    "content",
    [
        list(NAMES),
        dict(enumerate(NAMES)),
        {"2": "church", "0": "tench", "1": "chain saw"},
        {name: index for index, name in enumerate(NAMES)},
        {"model_type": "vit", "id2label": dict(enumerate(NAMES)), "label2id": dict.fromkeys(NAMES, 0)},
        {"class_to_idx": {"church": 2, "tench": 0, "chain saw": 1}},
        {str(index): [wnid, name] for index, (wnid, name) in enumerate(zip(IDS, NAMES, strict=True))},
        [[wnid, name] for wnid, name in zip(IDS, NAMES, strict=True)],
    ],
    ids=["list", "id2label", "unordered", "class_to_idx", "config", "nested", "class index", "pairs"],
)
def test_json_in_any_form_gives_the_names_in_order(content: Any) -> None:
    found = parse_class_list(json.dumps(content).encode(), is_json=True)
    assert found.names == NAMES
    assert found.by_id == (dict(zip(IDS, NAMES, strict=True)) if "n01440764" in json.dumps(content) else {})


@pytest.mark.parametrize("end", ["", "\n", "\r\n\r\n"])
def test_text_has_a_name_a_line(end: str) -> None:
    text = "\ufeff" + "\r\n".join(NAMES) + end
    assert parse_class_list(text.encode(), is_json=False) == (NAMES, {})


def test_text_with_ids_before_the_names_gives_both() -> None:
    lines = [f"{wnid} {name}, more of it" for wnid, name in zip(IDS, NAMES, strict=True)]
    found = parse_class_list("\n".join(lines).encode(), is_json=False)
    assert found.names == tuple(f"{name}, more of it" for name in NAMES)
    assert found.by_id["n01440764"] == "tench, more of it"
    assert parse_class_list("\n".join(IDS).encode(), is_json=False) == (IDS, {})


def test_numbers_that_begin_at_one_leave_the_background_its_place() -> None:
    assert parse_class_list(b'{"1": "person", "2": "bicycle"}', is_json=True).names == (
        "__background__",
        "person",
        "bicycle",
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"[1, 2]", "must hold class names: a JSON list"),
        (b"[]", "must hold class names"),
        (b"{}", "must hold class names"),
        (b'"cat"', "must hold class names"),
        (b'{"a": "cat"}', "must hold class names"),
        (b'{"0": ["cat"]}', "must hold class names"),
        (b'{"0": "cat", "2": "dog"}', "names no class 1"),
        (b'{"cat": 0, "dog": 0}', "gives two classes the same number"),
        (b'["cat", ', "is not JSON"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"\n\n", "must hold class names"),
    ],
)
def test_what_is_no_list_of_names_says_why(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_class_list(data, is_json=False)


def test_a_file_that_calls_itself_json_is_not_read_as_text() -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        parse_class_list(b"cat\ndog", is_json=True)
