"""A Markdown table between two markers of a file, made anew; whatever stands outside them is the writer's."""

from collections.abc import Iterable, Sequence

from job.errors import UsageError


def markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def fill(text: str, name: str, table: str) -> str:
    """The text with `table` between the markers of `name`. Raises UsageError where they are not there."""
    begin, end = markers(name)
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise UsageError(f"has no place for a table; add the lines {begin} and {end} where it belongs")
    return f"{before}{begin}\n{table}{end}{after}"


def to_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "".join(f"| {line} |\n" for line in lines)
