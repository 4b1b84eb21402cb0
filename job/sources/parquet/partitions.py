"""Columns that stand in folder names, as Hive writes them: `label=cat/part-0.parquet`. Used by the parquet source."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

_NULL = "__HIVE_DEFAULT_PARTITION__"
# As a reader that takes them for numbers gives them back: 007 is a text.
_WHOLE_NUMBER = re.compile(r"0|-?[1-9]\d{0,17}")


def partition_values(uri: str) -> dict[str, str | None]:
    """By column, what the folders of a file's URI say, with percent-encoding undone; the innermost counts."""
    folders = uri.split("/")[:-1]
    pairs = (folder.partition("=") for folder in folders if "=" in folder)
    return {unquote(name): None if value == _NULL else unquote(value) for name, _, value in pairs if name}


def are_whole_numbers(values: Iterable[str | None]) -> bool:
    """Whether a partition's values are numbers to all who read such folders; not where all are null."""
    there = [value for value in values if value is not None]
    return bool(there) and all(_WHOLE_NUMBER.fullmatch(value) for value in there)
