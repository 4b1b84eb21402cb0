"""`tench gc`: removes RayJobs that ended long ago and, with an output, abandoned run folders, after showing them."""

import datetime
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.filesize import decimal

from job.errors import PreflightError, UsageError
from job.terminal.wording import counted
from tench.launcher.cleanup.abandoned_folders import Abandoned, delete_folder, find_abandoned
from tench.launcher.cluster.kube import RAY, Kube
from tench.launcher.cluster.labels import NAME, TENCH, selector
from tench.launcher.cluster.target import Target
from tench.launcher.submit.question import is_confirmed
from tench.launcher.submit.removal import remove
from tench.launcher.watch.cluster_run import Run, runs_of
from tench.launcher.watch.phase import phase_of
from tench.launcher.watch.status import parse_time

_AGE = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Garbage:
    """What would go."""

    runs: Sequence[Run]
    folders: Sequence[Abandoned]

    def lines(self) -> list[str]:
        runs = [f"RayJob {each.name}, run {each.run_id}, {phase_of(each)} {_day(_ended(each))}" for each in self.runs]
        folders = [
            f"folder {each.uri}, {counted(each.objects, 'object')}, {decimal(each.bytes)}, untouched since "
            f"{_day(each.touched)}"
            for each in self.folders
        ]
        return runs + folders

    def to_json(self) -> str:
        return json.dumps(
            {"rayjobs": [each.name for each in self.runs], "folders": [each.uri for each in self.folders]}
        )


def run(target: Target, older_than: str, data: str | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Prints what is gone, on stdout; without a terminal it takes `yes` to remove anything."""
    before = datetime.datetime.now(datetime.UTC) - parse_age(older_than)
    kube = target.kube()
    garbage = _find(kube, before, data)
    for line in garbage.lines():
        print(line, file=sys.stderr)
    if not garbage.lines() or dry_run:
        print(f"{len(garbage.lines())} to remove, nothing is removed", file=sys.stderr)
        print(garbage.to_json() if as_json else "", end="\n" if as_json else "")
        return
    if not is_confirmed(f"remove {counted(len(garbage.lines()), 'thing')}?", yes, default=False):
        raise UsageError("nothing was removed; --yes removes what is shown, without a question")
    _remove(kube, target, garbage, as_json)


def parse_age(text: str) -> datetime.timedelta:
    """`7d`, `12h`, `30m`. Raises UsageError."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise UsageError(f"--older-than {text!r} is no age; write a number and s, m, h, d or w, such as 7d")
    try:
        age = datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})
        datetime.datetime.now(datetime.UTC) - age
    except (OverflowError, ValueError):
        raise UsageError(f"--older-than {text!r} is longer than time; write such as 7d") from None
    return age


def _find(kube: Kube, before: datetime.datetime, data: str | None) -> Garbage:
    runs = [each for each in runs_of(kube) if (ended := _ended(each)) and ended < before]
    if data is None:
        return Garbage(runs, [])
    with Console(stderr=True).status(f"listing {data}"):
        return Garbage(runs, list(find_abandoned(data, before, _run_ids(kube))))


def _ended(run: Run) -> datetime.datetime | None:
    """A RayJob that was refused has no end of its own."""
    return parse_time(run.status.get("endTime") or run.created) if phase_of(run).ended else None


def _run_ids(kube: Kube) -> frozenset[str]:
    """Of the RayJobs that have not ended, in all namespaces where they may be seen."""
    try:
        found = kube.items(f"{RAY}/rayjobs", labelSelector=selector({NAME: TENCH}))
    except PreflightError:
        print(f"only RayJobs of the namespace {kube.namespace} can be seen: others may use a folder", file=sys.stderr)
        found = kube.rayjobs()
    return frozenset(each.run_id for each in map(Run.of, found) if not phase_of(each).ended)


def _remove(kube: Kube, target: Target, garbage: Garbage, as_json: bool) -> None:
    for each in garbage.runs:
        remove(kube, target.helm(kube), each)
        print(f"removed RayJob {each.name}", file=sys.stderr)
    gone = []
    for folder in garbage.folders:
        if delete_folder(folder):
            gone.append(folder)
            print(f"removed {folder.uri}", file=sys.stderr)
        else:
            print(f"kept {folder.uri}: it was touched just now", file=sys.stderr)
    removed = Garbage(garbage.runs, gone)
    names = [*(each.name for each in removed.runs), *(each.uri for each in removed.folders)]
    print(removed.to_json() if as_json else "\n".join(names))


def _day(time: datetime.datetime | None) -> str:
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M")
