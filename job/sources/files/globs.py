"""Glob patterns over keys, as regular expressions that Arrow (RE2) and Python both read."""

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[!^]?\]?[^\]]*\]|\{[^{}]*,[^{}]*\}", re.DOTALL)
_PLAIN = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def any_of(patterns: Iterable[str]) -> str:
    """A regular expression for whole keys that one of the patterns means.

    `*` and `?` match within a name, `**` any folders, `[a-z]` and `[!a-z]` one character, `{a,b}` either. As in a
    .gitignore, a pattern without a slash means that name in any folder, one with a slash begins at the top, and what
    matches a folder means all that is in it.
    """
    return rf"(?s)^(?:{'|'.join(map(_anchored, patterns))})$"


def _anchored(pattern: str) -> str:
    folder = pattern.rstrip("/")
    below = "/.*" if folder != pattern else "(?:/.*)?"
    top = "" if "/" in folder else "(?:.*/)?"
    return f"{top}{_translate(folder.removeprefix('/'))}{below}"


def _translate(pattern: str) -> str:
    found, at = "", 0
    for token in _TOKEN.finditer(pattern):
        found += _literal(pattern[at : token.start()]) + _meaning(token[0])
        at = token.end()
    return found + _literal(pattern[at:])


def _meaning(token: str) -> str:
    if token in _PLAIN:
        return _PLAIN[token]
    if token.startswith("{"):
        return f"(?:{'|'.join(_translate(each) for each in token[1:-1].split(','))})"
    inside = token[1:-1]
    negated = inside.startswith(("!", "^"))
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[negated:])
    return f"[{'^/' if negated else ''}{members}]"


def _literal(text: str) -> str:
    # re.escape() writes a newline as a backslash and a newline, which RE2 does not know.
    return "".join(re.escape(character) if character in _SPECIAL else character for character in text)


_SPECIAL = frozenset("\\.^$*+?{}[]|()")
