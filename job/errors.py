"""Everything that can stop a run, one class for each way out.

    TenchError              exit 1
    ├── RunFailed           exit 1   it started and did not end well
    │   └── NoSuchRun       exit 2   the folder that was named is no run's
    ├── StoreError          exit 1   an object store or a folder kept refusing
    │   ├── ObjectChanged   exit 1   it holds another object under the key than was asked for
    │   └── CredentialsError exit 3  there are no credentials for it here, or none that work
    ├── SpecError           exit 2   the spec is wrong; carries every problem found
    ├── UsageError          exit 2   the call is wrong
    │   ├── PlanChanged     exit 2   the run id belongs to another plan
    │   └── ModelChanged    exit 2   the model is another than the run was planned with
    ├── PreflightError      exit 3   nothing was started
    │   ├── SourceError              the images are not where the spec says
    │   ├── ModelError               the model cannot be built as the spec says
    │   └── OutputError              the results cannot go where the spec says
    ├── StillRunning        exit 4   waiting ended, the run goes on
    └── Interrupted         exit 130 Ctrl-C

`ImageError` stands apart: it never stops a run, it becomes a row. `job.terminal.console`
alone turns errors into text and exit codes.
"""

from collections.abc import Sequence
from typing import Literal

ErrorKind = Literal[
    "missing", "changed", "unreadable", "empty", "not-an-image", "unsupported", "truncated", "too-large", "crashed"
]


class TenchError(Exception):
    """Says what went wrong, with which value, and the way out."""

    exit_code = 1


class RunFailed(TenchError):
    """The run started and did not end well; what is committed stays committed."""


class NoSuchRun(RunFailed):
    """The folder that was named holds no run."""

    exit_code = 2


class StoreError(TenchError):
    """A store or folder refused a read, a write or a listing."""


class ObjectChanged(StoreError):
    """What lies under a key is not what was listed there."""


class CredentialsError(StoreError):
    """There are no credentials for a bucket here, or none that work: found before the first request."""

    exit_code = 3


class SpecError(TenchError):
    """The spec is wrong; `problems` holds one line each, `path: what (got value)`."""

    exit_code = 2

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.name = name
        self.problems = list(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n  ".join([f"{name} has {count}:", *self.problems]))

    def __reduce__(self) -> tuple[type["SpecError"], tuple[str, list[str]]]:
        return SpecError, (self.name, self.problems)


class UsageError(TenchError):
    """The call is wrong."""

    exit_code = 2


class PlanChanged(UsageError):
    """The run id belongs to a run of another source, model or shard size."""


class ModelChanged(UsageError):
    """Weights, files, preparation or packages that decide about the answer are others than the plan's."""


class PreflightError(TenchError):
    """Found before anything was started."""

    exit_code = 3


class SourceError(PreflightError):
    """The images are not where, or not what, the spec says."""


class ModelError(PreflightError):
    """The model cannot be built as the spec says."""


class OutputError(PreflightError):
    """The results cannot be written where the spec says."""


class StillRunning(TenchError):
    """The time to wait is over; the run goes on."""

    exit_code = 4


class Interrupted(TenchError):
    """Ctrl-C, and what stays or goes on."""

    exit_code = 130


class ImageError(Exception):
    """One image that cannot be used: a row with `KIND: text`, never the end of a run."""

    def __init__(self, kind: ErrorKind, text: str) -> None:
        self.kind: ErrorKind = kind
        super().__init__(f"{kind}: {text}")

    def __reduce__(self) -> tuple[type["ImageError"], tuple[ErrorKind, str]]:
        return ImageError, (self.kind, str(self).removeprefix(f"{self.kind}: "))
