"""What a plan leaves out, in words: for the terminal, the log and the report's page."""

from collections.abc import Sequence

from job.plan.records import LeftOut
from job.terminal.wording import count, shorten

EXAMPLE_WIDTH = 100


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """A line a kind, the most first: `names that end with .txt: 12, as photos/notes.txt`."""
    return [f"{each.kind}: {count(each.count)}{_as(each.example)}" for each in left_out]


def left_out_sentence(left_out: Sequence[LeftOut]) -> str:
    """All kinds after one another, without examples; nothing where nothing is left out."""
    return ", ".join(f"{each.kind} ({count(each.count)})" for each in left_out)


def _as(example: str | None) -> str:
    return f", as {shorten(example, EXAMPLE_WIDTH)}" if example else ""
