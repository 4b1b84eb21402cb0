"""A finding: what one look at the cluster showed, and the fix where it would make the run hang or fail."""

from typing import Literal

from pydantic import BaseModel

Level = Literal["ok", "warning", "error"]


class Finding(BaseModel):
    """As `tench plan -o json` prints it."""

    level: Level
    what: str
    text: str


def ok(what: str, text: str) -> Finding:
    return Finding(level="ok", what=what, text=text)


def warning(what: str, text: str) -> Finding:
    return Finding(level="warning", what=what, text=text)


def error(what: str, text: str) -> Finding:
    return Finding(level="error", what=what, text=text)
