"""Runs tests on a copy of the repository, in which one file is changed, in a process forked for it.

The process that forks has loaded what the tests load, but the repository's own modules: a trial begins within
milliseconds, and loads every module of the job anew, from the copy.
"""

import importlib
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from scripts.mutants.changes import Change
from scripts.mutants.reach import Recorder
from scripts.mutants.tree import Copy

# A stalled answer is given up after half a second, which a busy machine takes for another request.
PYTEST = (
    "--override-ini=addopts=",
    "--import-mode=importlib",
    "-p",
    "no:cacheprovider",
    "-m",
    "not e2e",
    "-k",
    "not stall",
)
MAX_BYTES = 6 << 30  # of a change that makes a loop collect for ever
PATIENCE_S = 20.0
PATIENCE = 10.0
POLL_S = 0.01


class Failed(Exception):
    """A test fails without a change; the text is what pytest printed."""


class Selection:
    """A plugin of pytest: just these tests, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._places = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._places]
        items.sort(key=lambda item: self._places[item.nodeid])


@dataclass(frozen=True)
class Trial:
    change: Change
    tests: list[str]
    expected_s: float


@dataclass(frozen=True)
class _Running:
    trial: Trial
    copy: Copy
    ends: float


def preload(modules: Iterable[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            with suppress(Exception):
                importlib.import_module(name)


def measure(copy: Copy, package: str, tests: Sequence[str], path: Path) -> None:
    """Runs the tests without a change and saves their `Reach`. Raises Failed where one fails."""

    def test() -> int:
        recorder = Recorder(copy.root, package)
        code = pytest.main([*PYTEST, f"--basetemp={copy.scratch}", *tests], plugins=[recorder])
        recorder.save(path, _foreign_modules(copy.root))
        return int(code)

    _, status = os.waitpid(_fork(copy, test), 0)
    if status:
        path.unlink(missing_ok=True)
        raise Failed(copy.log.read_text())


def check(trial: Trial, copy: Copy) -> None:
    """Raises Failed where a trial that changes nothing is not survived: the others would be killed by the same."""
    for _, outcome in run([trial], [copy]):
        if outcome != "survived":
            raise Failed(copy.log.read_text())


def run(trials: Iterable[Trial], copies: Sequence[Copy]) -> Iterator[tuple[Trial, str]]:
    """Each trial and its outcome as it ends, as many at a time as there are copies: killed, survived or timed out."""
    waiting, free = deque(trials), list(copies)
    running: dict[int, _Running] = {}
    try:
        while waiting or running:
            while waiting and free:
                trial, copy = waiting.popleft(), free.pop()
                copy.write(trial.change.file, trial.change.code)
                limit_s = PATIENCE_S + PATIENCE * trial.expected_s
                running[_start(copy, trial)] = _Running(trial, copy, time.monotonic() + limit_s)
            for pid, outcome in list(_ended(running)):
                ended = running.pop(pid)
                _kill(pid)  # what it started
                ended.copy.restore(ended.trial.change.file)
                free.append(ended.copy)
                yield ended.trial, outcome
            time.sleep(POLL_S)
    finally:
        for pid in running:
            _kill(pid)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _start(copy: Copy, trial: Trial) -> int:
    def test() -> int:
        files = dict.fromkeys(test.split("::", 1)[0] for test in trial.tests)
        arguments = [*PYTEST, "-x", "--hypothesis-profile=mutants", f"--basetemp={copy.scratch}", *files]
        return int(pytest.main(arguments, plugins=[Selection(trial.tests)]))

    return _fork(copy, test, writes_bytecode=False)


def _ended(running: dict[int, _Running]) -> Iterator[tuple[int, str]]:
    for pid, each in running.items():
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            yield pid, "killed" if status else "survived"
        elif time.monotonic() > each.ends:
            _kill(pid)
            os.waitpid(pid, 0)
            yield pid, "timed out"


def _fork(copy: Copy, test: Callable[[], int], writes_bytecode: bool = True) -> int:
    """Calls `test` in a process of its own, at the root of the copy; its answer is the exit code."""
    if pid := os.fork():
        return pid
    code = 70
    try:
        os.setsid()
        file = os.open(copy.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
        os.chdir(copy.root)
        sys.path[0] = os.environ["PYTHONPATH"] = str(copy.root)
        sys.dont_write_bytecode = not writes_bytecode
        # The same examples each time, and no search for the smallest that fails.
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutants", deadline=None, max_examples=50, derandomize=True, database=None, phases=phases
        )
        code = test()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _foreign_modules(root: Path) -> list[str]:
    """What is loaded by now, and is not of the repository."""
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return sorted(name for name, file in files.items() if file and not Path(file).is_relative_to(root))
