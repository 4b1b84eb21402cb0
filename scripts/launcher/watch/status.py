"""A run's status at one moment, as `tench status -o json` prints it."""

import datetime
import math
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from job.plan.records import Progress
from job.terminal.wording import count, counted, duration, rate


class Phase(StrEnum):
    """Where a run is."""

    QUEUED = "queued"
    SUSPENDED = "suspended"
    STARTING = "starting"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    UNFINISHED = "unfinished"  # no RayJob any more, and no _SUCCESS

    @property
    def ended(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED, Phase.UNFINISHED)


class Reason(BaseModel):
    """Why nothing moves: the cluster's words, and the fix, whose key scripts read."""

    model_config = ConfigDict(frozen=True)

    kind: str
    text: str
    way_out: str


class Status(BaseModel):
    """What a person and a script want to know of a run."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    release: str
    rayjob: str
    namespace: str
    folder: str
    phase: Phase
    attempt: int
    attempts: int
    created: str | None
    started: str | None
    ended: str | None
    pods: dict[str, int]
    pods_wanted: int
    progress: Progress | None
    complete: bool | None
    """Whether _SUCCESS is there; null where the folder cannot be read from here."""
    message: str
    """Why it failed, in the job's or KubeRay's words."""
    reasons: list[Reason]
    notes: list[str]

    @property
    def exit_code(self) -> int:
        return 1 if self.phase.ended and self.phase is not Phase.SUCCEEDED else 0

    def seconds(self, now: datetime.datetime) -> float:
        """Since it was made, or as long as it took."""
        begin, end = parse_time(self.created), parse_time(self.ended)
        return max(0.0, ((end or now) - begin).total_seconds()) if begin else math.nan

    def line(self) -> str:
        """`running: 3 of 3 pods ready; 1,200 of 2,000 images, no failures, 62 images/s, 12.9 s left`."""
        attempt = f" (attempt {self.attempt} of {self.attempts})" if self.attempt > 1 else ""
        parts = [] if self.phase.ended else [self.pods_words()]
        parts += [progress_words(self.progress)] if self.progress else []
        parts += [f"why: {reason.text}" for reason in self.reasons]
        return f"{self.phase}{attempt}: {'; '.join(parts) or self.message or 'ended'}"

    def pods_words(self) -> str:
        """`1 of 3 pods ready, 2 pending`."""
        ready, others = self.pods.get("ready", 0), {key: n for key, n in self.pods.items() if key != "ready"}
        wanted = max(self.pods_wanted, sum(self.pods.values()) if not self.pods_wanted else 0)
        if not wanted:
            return "no pods yet"
        return ", ".join([f"{ready} of {counted(wanted, 'pod')} ready", *(f"{n} {key}" for key, n in others.items())])


def progress_words(progress: Progress) -> str:
    """Such as `1,200 of 2,000 images, no failures, 62 images/s, 12.9 s left`."""
    listed = "" if progress.is_listed else " listed so far"
    parts = [f"{count(progress.rows_done)} of {count(progress.total)} images{listed}"]
    parts.append(f"{count(progress.failed)} failed" if progress.failed else "no failures")
    parts += [f"{rate(progress.images_per_second)} images/s"] if progress.images_per_second else []
    left = progress.rows_done < progress.total and progress.eta_s is not None
    return ", ".join(parts + ([f"{duration(progress.eta_s or 0)} left"] if left else []))


def parse_time(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text) if text else None


def age_s(text: str | None) -> float:
    """Of a moment in Kubernetes' spelling; 0 where there is none."""
    moment = parse_time(text)
    return (datetime.datetime.now(datetime.UTC) - moment).total_seconds() if moment else 0.0
