"""A file of class names, in the forms that people have: what each class is called, and which id it goes by.

`job.models` names a model's classes by it, `job.sources` the expected labels. Knows bytes only.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

FORMS = (
    'a JSON list such as ["cat", "dog"], {"0": "cat"}, {"cat": 0}, {"0": ["n02124075", "cat"]}, a config.json with '
    "id2label, or text with a name a line"
)
_NESTED = ("id2label", "class_to_idx", "label2id")  # where a configuration or a checkpoint's JSON keeps them
_WITH_ID = re.compile(r"(n\d{8})[\s,]+(.+)")  # a line of ImageNet's synset_words.txt
BACKGROUND = "__background__"


class ClassList(NamedTuple):
    """`names` by index; `by_id` maps a class's id, such as WordNet's n01440764, to its name, where the file has ids."""

    names: tuple[str, ...]
    by_id: Mapping[str, str]


def parse_class_list(data: bytes, is_json: bool) -> ClassList:
    """Raises ValueError, with what is wrong, for what is no list of class names."""
    try:
        content = json.loads(data)
    except ValueError as error:
        if is_json or data.lstrip()[:1] in (b"[", b"{"):
            raise ValueError(f"is not JSON ({error})") from error
        return _of_rows([_row(line.strip()) for line in _text(data).splitlines() if line.strip()])
    if isinstance(content, dict):
        content = next((content[key] for key in _NESTED if isinstance(content.get(key), dict)), content)
        return _of_rows(_by_index(content))
    if not isinstance(content, list):
        raise ValueError(f"must hold class names: {FORMS}")
    return _of_rows(content)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text") from error


def _row(line: str) -> Any:
    found = _WITH_ID.fullmatch(line)
    return list(found.groups()) if found else line


def _by_index(names: Mapping[str, Any]) -> list[Any]:
    """The values of {"0": …} in the order of their numbers, or the keys of {…: 0}."""
    if names and all(type(value) is int for value in names.values()):
        pairs = [(value, key) for key, value in names.items()]
    elif all(key.isdecimal() for key in names):
        pairs = [(int(key), value) for key, value in names.items()]
    else:
        raise ValueError(f"must hold class names: {FORMS}")
    found = dict(pairs)
    if found and min(found) == 1:
        found[0] = BACKGROUND  # detection's lists begin at 1
    missing = next((index for index in range(len(found)) if index not in found), None)
    if missing is not None or len(dict(pairs)) < len(pairs):
        raise ValueError(f"names no class {missing}" if missing is not None else "gives two classes the same number")
    return [found[index] for index in range(len(found))]


def _of_rows(rows: Sequence[Any]) -> ClassList:
    """Each a name, or an id and a name."""
    if rows and all(isinstance(row, str) for row in rows):
        return ClassList(tuple(rows), {})
    pairs = [row for row in rows if isinstance(row, list) and len(row) == 2 and all(isinstance(x, str) for x in row)]
    if not rows or len(pairs) < len(rows):
        raise ValueError(f"must hold class names: {FORMS}")
    return ClassList(tuple(name for _, name in pairs), dict(pairs))
