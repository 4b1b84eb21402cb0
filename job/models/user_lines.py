"""An exception of a user's own code in words: what it says, and the two lines of its traceback that are theirs."""

import linecache
import sysconfig
import traceback
from pathlib import Path

_OURS = Path(__file__).parents[1]
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


def described(error: BaseException) -> str:
    """`ValueError: no licence`, then where in the user's code, as Python's traceback writes it; the rest with `-v`."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg}{_lines(error.filename, error.lineno or 1, None)}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_theirs(frame.filename)]
    return text + (_lines(frames[-1].filename, frames[-1].lineno or 1, frames[-1].name) if frames else "")


def _lines(file: str, number: int, function: str | None) -> str:
    place = f'\n  File "{file}", line {number}' + (f", in {function}" if function else "")
    line = linecache.getline(file, number).strip()
    return f"{place}\n    {line}" if line else place


def _is_theirs(file: str) -> bool:
    return not file.startswith(("<", *_LIBRARIES)) and not Path(file).is_relative_to(_OURS)
