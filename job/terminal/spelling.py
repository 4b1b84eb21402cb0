"""Near misses: what the writer of an unknown word probably meant.

What reads a spec, a call or a column's name ends its sentences with it.
"""

import difflib
from collections.abc import Iterable


def closest(word: str, options: Iterable[str]) -> str | None:
    """The option that reads most like `word`; case and the kind of hyphen do not count. None where nothing is near."""
    by_plain = {_plain(option): option for option in options}
    matches = difflib.get_close_matches(_plain(word), by_plain, n=1)
    return by_plain[matches[0]] if matches else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """`; did you mean X?` to end a sentence with, or nothing."""
    option = closest(word, options)
    return f"; did you mean {option}?" if option else ""


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_")
