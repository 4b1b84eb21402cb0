"""`make mutants`: changes each module in small ways, one at a time, and tells which changes no test notices.

    python -m scripts.mutants [ROOM or FILE ...] [--jobs N] [--list]

A change is tried on those tests of the module's room that run its line. Outcomes are kept in build/mutants, and a
change whose module and tests are as they were is not tried again. Exits with 1 where a survivor is not in accepted.txt.
Run from the repository's root.
"""

import os

# Before numpy is loaded: its threads would not be there in a forked process.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from scripts.mutants import trials
from scripts.mutants.accepted import ACCEPTED, Survivor, read_accepted
from scripts.mutants.changes import Change, changes_of
from scripts.mutants.reach import Reach, load_reach
from scripts.mutants.tree import Copy

KEPT = Path("build/mutants").absolute()
PACKAGE = "job"
SUPPORT = [*Path("tests").glob("*.py"), *Path("tests").rglob("conftest.py")]
# Without those that start Ray, a browser or a kill.
ROOMS = {
    "job/plan": ["tests/job/plan"],
    "job/results": ["tests/job/results", "tests/job/report/test_report.py"],
    "job/stages": ["tests/job/stages", "tests/job/engines/test_local.py"],
    "job/stores": ["tests/job/stores", "tests/job/sources"],
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.mutants", description="Try the tests on small changes.")
    parser.add_argument("paths", nargs="*", help=f"rooms or files; all of {', '.join(ROOMS)} by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trials at a time")
    parser.add_argument("--list", action="store_true", help="show the changes, try none")
    arguments = parser.parse_args()
    changes = {file: changes_of(file, Path(file).read_text()) for file in _files(arguments.paths or ROOMS)}
    if arguments.list:
        for change in (change for each in changes.values() for change in each):
            print(f"{change.file}:{change.line}\n{_survivor(change)}")
        print(f"{sum(map(len, changes.values())):,} changes")
        return 0
    accepted = read_accepted(ACCEPTED.read_text())
    KEPT.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        copies = [Copy(Path.cwd(), Path(folder) / str(number)) for number in range(arguments.jobs)]
        for file, each in changes.items():
            wrong += try_file(file, each, accepted, copies) if each else 0
    return 1 if wrong else 0


def try_file(file: str, changes: list[Change], accepted: dict[Survivor, str], copies: list[Copy]) -> int:
    """Prints how many changes were noticed, then each that was not; the number of those that are not accepted."""
    began = time.monotonic()
    outcomes = _outcomes(changes, _reach(file, copies), copies)
    counts = Counter(outcomes.values())
    survivors = [change for change in changes if outcomes[change] in ("survived", "in no test")]
    new = [change for change in survivors if _survivor(change) not in accepted]
    stale = {each for each in accepted if each.file == file} - {_survivor(change) for change in survivors}
    counts["accepted"] = len(survivors) - len(new)
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    print(f"{file}: {len(changes):,} changes, {told}; {time.monotonic() - began:.0f} s")
    for change in new:
        print(f"{file}:{change.line} {outcomes[change]}\n{_survivor(change)}")
    for each in stale:
        print(f"{file}: {ACCEPTED.name} names a change that does not survive; take it out\n{each}")
    sys.stdout.flush()
    return len(new) + len(stale)


def _outcomes(changes: list[Change], reach: Reach, copies: list[Copy]) -> dict[Change, str]:
    """Of each change; those that are kept are not tried again."""
    ledger = KEPT / "outcomes.jsonl"
    kept = dict(map(json.loads, ledger.read_text().splitlines())) if ledger.exists() else {}
    room, outcomes, keys, waiting = ROOMS[str(Path(changes[0].file).parent)][0], {}, {}, []
    for change in changes:
        reaching = reach.tests_of(change)
        keys[change] = _digest([change.code], {test.split("::", 1)[0] for test in reaching}, SUPPORT)
        if not reaching:
            outcomes[change] = "in no test"
        elif keys[change] in kept:
            outcomes[change] = kept[keys[change]]
        else:
            tests = reach.quickest(reaching, room)
            waiting.append(trials.Trial(change, tests, sum(reach.seconds.get(test, 0.0) for test in tests)))
    if waiting:
        trials.preload(reach.modules)
        every = list(dict.fromkeys(test for trial in waiting for test in trial.tests))
        nothing = replace(changes[0], code=Path(changes[0].file).read_text())
        trials.check(trials.Trial(nothing, every, sum(reach.seconds.values())), copies[0])
    with ledger.open("a") as file:
        for number, (trial, outcome) in enumerate(trials.run(waiting, copies), 1):
            outcomes[trial.change] = outcome
            print(json.dumps([keys[trial.change], outcome]), file=file, flush=True)
            if sys.stderr.isatty():
                print(f"\r{number}/{len(waiting)} ", end="", file=sys.stderr)
    return outcomes


def _reach(file: str, copies: list[Copy]) -> Reach:
    """Of the tests of the file's room, measured where they or the job are others than the last time."""
    tests = ROOMS[str(Path(file).parent)]
    modules = [module for test in map(Path, tests) for module in (test.rglob("*.py") if test.is_dir() else [test])]
    path = KEPT / f"reach-{_digest(tests, Path(PACKAGE).rglob('*.py'), modules, SUPPORT)}.json"
    if not path.exists():
        trials.measure(copies[0], PACKAGE, tests, path)
    return load_reach(path)


def _files(paths: Iterable[str]) -> list[str]:
    """The modules of those rooms and files. Exits where one is in none of the rooms."""
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(path.glob("*.py")) if path.is_dir() else [path]
        if not all(file.is_file() and str(file.parent) in ROOMS for file in found):
            raise SystemExit(f"{path} is no module of {', '.join(ROOMS)}; name one, or a room")
        files += found
    return [str(file) for file in files]


def _survivor(change: Change) -> Survivor:
    return Survivor(change.file, change.before, change.after)


def _digest(texts: Iterable[str], *files: Iterable[str | Path]) -> str:
    digest = hashlib.sha256(json.dumps(list(texts)).encode())
    for file in sorted({Path(file) for group in files for file in group}):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:24]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except trials.Failed as failed:
        sys.exit(f"{failed}\nthe tests fail without a change")
