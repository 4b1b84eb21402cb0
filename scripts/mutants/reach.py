"""Which tests run which line, and how long each takes: a run of a room's tests under coverage, kept for the next time.

`scripts.mutants` asks for it, so that a change is tried on the tests that can notice it, the quickest first.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import coverage
import pytest

from scripts.mutants.changes import Change

BUDGET_S = 10.0  # of tests of other rooms, as they take under coverage


@dataclass(frozen=True)
class Reach:
    """`tests`: file → line → its tests, by their ids; `modules`: all that the tests load, but the repository's own."""

    tests: dict[str, dict[str, list[str]]]
    seconds: dict[str, float]
    modules: list[str]

    def tests_of(self, change: Change) -> list[str]:
        """Those of its line; every test of the file for a line that runs on import, or in a process of its own."""
        lines = self.tests.get(change.file, {})
        found = {test for line in change.statement for test in lines.get(str(line), ())} - {""}
        return sorted(found or {test for tests in lines.values() for test in tests} - {""})

    def quickest(self, tests: Sequence[str], room: str) -> list[str]:
        """Those in the folder `room`, then others for as long as they are quick; each in the order of their time."""
        ordered = sorted(tests, key=lambda test: self.seconds.get(test, 0.0))
        others = [test for test in ordered if not test.startswith(f"{room}/")]
        spent_s = accumulate(self.seconds.get(test, 0.0) for test in others)
        quick = {test for test, seconds in zip(others, spent_s, strict=True) if seconds <= BUDGET_S}
        return [*(test for test in ordered if test not in others), *(test for test in others if test in quick)]


def load_reach(path: Path) -> Reach:
    return Reach(**json.loads(path.read_text()))


class Recorder:
    """A plugin of pytest: coverage with each test for a context. `reach` when the run is over."""

    def __init__(self, root: Path, package: str) -> None:
        self._root, self._seconds = root, defaultdict[str, float](float)
        self._coverage = coverage.Coverage(data_file=None, include=[str(root / package / "*")])
        self._coverage.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        self._coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # The first to use a fixture of the session pays for it.
        self._seconds[report.nodeid] += report.duration if report.when == "call" else 0.0

    def save(self, path: Path, modules: list[str]) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        tests = {
            str(Path(file).relative_to(self._root)): {
                str(line): contexts for line, contexts in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        path.write_text(json.dumps(asdict(Reach(tests, dict(self._seconds), modules))))
