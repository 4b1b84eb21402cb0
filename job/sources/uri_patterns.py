"""Patterns in the URI of container files: joined URIs, brace lists and ranges, globs. Used by `container_files`."""

import re
from collections.abc import Iterator
from itertools import pairwise

from job.errors import SourceError

_NUMBERS = re.compile(r"(\d+)\.\.(\d+)(?:\.\.(\d+))?")
_LETTERS = re.compile(r"([a-z])\.\.([a-z])|([A-Z])\.\.([A-Z])")
_CLASS = r"\[!?\]?[^\]/]*\]"
_WILDCARD = re.compile(rf"[*?]|{_CLASS}")
_TOKENS = re.compile(rf"((?:(?<=/)|^)\*\*/|\*\*|\*|\?|{_CLASS})")
_HIDDEN = "(?![._])"


def expand(uri: str) -> Iterator[str]:
    """`a.tar::b.tar`, `{train,val}.tar` and `shard-{000..012}.tar`, spelled out from left to right, as webdataset does.

    Raises SourceError for a range that runs backwards, and a `::` with nothing beside it.
    """
    for each in uri.split("::"):
        if not each.strip():
            raise SourceError(f"source.uri: there is no URI on one side of :: in {uri}")
        yield from _expand_braces(each)


def is_pattern(uri: str) -> bool:
    """Whether a URI has wildcards: `*`, `?`, `[ab]` or `[!ab]`."""
    return _WILDCARD.search(uri) is not None


def split_pattern(uri: str) -> tuple[str, str]:
    """The folder that holds all a pattern can match, `.` for none, and the pattern below it."""
    wildcard = _WILDCARD.search(uri)
    slash = uri.rfind("/", 0, wildcard.start() if wildcard else None) + 1
    return uri[:slash] or ".", uri[slash:]


def literal_prefix(pattern: str) -> str:
    """What every match of a pattern begins with."""
    wildcard = _WILDCARD.search(pattern)
    return pattern[: wildcard.start()] if wildcard else pattern


def to_regex(pattern: str) -> str:
    """A glob as an expression for whole keys: `*` and `?` stay within a name, `**` does not.

    As in a shell, a name that begins with a dot is matched by a pattern that says so; one that begins with `_` too.
    Raises SourceError for a class such as `[z-a]`.
    """
    found = ""
    starts_name = True
    for part in _TOKENS.split(pattern):
        hidden = _HIDDEN if starts_name else ""
        if part == "**/":
            found += f"(?:{_HIDDEN}[^/]*/)*"
            continue
        if part == "**":
            found += f"{hidden}[^/]*(?:/{_HIDDEN}[^/]*)*"
        elif part == "*":
            found += f"{hidden}[^/]*"
        elif part == "?":
            found += f"{hidden}[^/]"
        elif re.fullmatch(_CLASS, part):
            found += hidden + _class_regex(part)
        else:
            found += re.escape(part)
        starts_name = part.endswith("/") or (starts_name and not part)
    return found


def _class_regex(part: str) -> str:
    """One of the characters between the brackets; `!` first turns it round."""
    negated = part.startswith("[!")
    characters = re.sub(r"([^\w-])", r"\\\1", part[2 if negated else 1 : -1])
    expression = f"[^/{characters}]" if negated else f"[{characters}]"
    try:
        re.compile(expression)
    except re.error as error:
        raise SourceError(f"source.uri: {part} names no characters: {error.msg}") from error
    return expression


def _expand_braces(text: str) -> Iterator[str]:
    """Pairs without a comma or a range in them are no pattern, nor is a brace without its other one."""
    for start in (place for place, mark in enumerate(text) if mark == "{"):
        commas, stop = _inside(text, start)
        if stop is None:
            continue
        body = text[start + 1 : stop]
        if commas:
            edges = [start, *commas, stop]
            choices = [text[left + 1 : right] for left, right in pairwise(edges)]
            alternatives: Iterator[str] = (each for choice in choices for each in _expand_braces(choice))
        elif (numbers := _NUMBERS.fullmatch(body)) or _LETTERS.fullmatch(body):
            alternatives = _numbers(numbers, text) if numbers else _letters(body, text)
        else:
            continue
        for alternative in alternatives:
            for rest in _expand_braces(text[stop + 1 :]):
                yield f"{text[:start]}{alternative}{rest}"
        return
    yield text


def _inside(text: str, start: int) -> tuple[list[int], int | None]:
    """Where the commas of a brace's own stand, and its other one; None where it has none."""
    depth = 0
    commas: list[int] = []
    for place in range(start, len(text)):
        if text[place] == "{":
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if not depth:
                return commas, place
        elif text[place] == "," and depth == 1:
            commas.append(place)
    return commas, None


def _numbers(found: re.Match[str], text: str) -> Iterator[str]:
    first, last, step = found[1], found[2], int(found[3] or 1)
    if int(first) > int(last) or not step:
        raise SourceError(f"source.uri: the range {{{found[0]}}} runs backwards in {text}")
    padded = any(len(each) > 1 and each.startswith("0") for each in (first, last))
    width = max(len(first), len(last)) if padded else 0
    return (f"{number:0{width}d}" for number in range(int(first), int(last) + 1, step))


def _letters(body: str, text: str) -> Iterator[str]:
    first, last = body.split("..")
    if first > last:
        raise SourceError(f"source.uri: the range {{{body}}} runs backwards in {text}")
    return (chr(code) for code in range(ord(first), ord(last) + 1))
