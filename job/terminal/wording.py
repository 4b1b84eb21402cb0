"""How a figure or a name is put into words, on the terminal and on the report's page alike.

Pure text functions. What comes out is plain text: the page's template escapes it, a terminal can print it as it is.
"""

import math


def count(number: int) -> str:
    """1234567 as `1,234,567`."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """`1 image`, `1,200 images`, `3 boxes`, `2 classes`."""
    plural = f"{noun}es" if noun.endswith(("s", "x", "ch")) else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def percent(fraction: float) -> str:
    """0.9321 as `93.2 %`; never rounded to all or to nothing: 0.99999 is `99.999 %`."""
    if math.isnan(fraction):
        return "not a number"
    for digits in range(1, 9):
        text = f"{100 * fraction:.{digits}f}"
        if fraction in (0, 1) or float(text) not in (0, 100):
            break
    return f"{text} %"


def score(probability: float | None) -> str:
    """0.98765 as `0.988`."""
    return "no score" if probability is None else f"{probability:.3f}"


def duration(seconds: float) -> str:
    """`3.2 s`, `4 min 05 s`, `2 h 07 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02d} s"
    return f"{count(minutes // 60)} h {minutes % 60:02d} min"


def rate(per_second: float) -> str:
    """`614` or, where that is what matters, `0.42`."""
    return count(round(per_second)) if per_second >= 100 else f"{per_second:.3g}"


def printable(text: str) -> str:
    """The text with line breaks, terminal escapes and invisible marks spelled out, so that it shows as what it is."""
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii") for mark in text)


def shorten(text: str, width: int) -> str:
    """At most `width` marks, cut in the middle: a URI is told apart by its ends."""
    text = printable(text)
    if len(text) <= width:
        return text
    head = (width - 1) // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
