"""The profile: a file of values that holds a team's infrastructure, so that a spec is all that a user writes."""

import sys
from collections.abc import Sequence
from pathlib import Path

from job.errors import UsageError
from job.settings import PROFILE


def home_profile() -> Path:
    return Path.home() / ".config" / "tench" / "profile.yaml"


def has_profile() -> bool:
    return bool(PROFILE.value()) or home_profile().is_file()


def values_files(given: Sequence[str]) -> tuple[str, ...]:
    """The files of `-f`, else `TENCH_PROFILE`, else the one at home, which is then named on stderr.

    Raises UsageError where the variable names no file.
    """
    if given:
        return tuple(given)
    named = PROFILE.value()
    if named and not Path(named).is_file():
        raise UsageError(f"{PROFILE.name} is {named!r}, and there is no such file; mend or unset it")
    profile = Path(named) if named else home_profile()
    if not profile.is_file():
        return ()
    print(f"profile: {profile}", file=sys.stderr)
    return (str(profile),)
