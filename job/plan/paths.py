"""The names of a run's objects: the job writes them, the launcher reads them, nobody else spells them."""

from dataclasses import dataclass

PREDICTIONS = "predictions/"
LOGS = "logs/"
RAY_LOGS = "/tmp/ray/session_latest/logs"  # noqa: S108 - Ray's own, which the chart does not move


def ray_driver_log(submission_id: str) -> str:
    """What Ray calls the file, in RAY_LOGS on the head, that a driver's output goes to."""
    return f"job-driver-{submission_id}.log"


@dataclass(frozen=True)
class RunPaths:
    """Keys below `<output.uri>/<run id>/`."""

    output_uri: str
    run_id: str

    @classmethod
    def of(cls, uri: str) -> "RunPaths":
        """Of a run's folder."""
        output_uri, _, run_id = uri.rstrip("/").rpartition("/")
        return cls(output_uri, run_id)

    @property
    def uri(self) -> str:
        """The run's folder, without a slash at its end."""
        return f"{self.output_uri.rstrip('/')}/{self.run_id}"

    plan = "plan.json"
    progress = "progress.json"
    success = "_SUCCESS"
    report = "report.html"

    def manifest(self, part: int) -> str:
        """Parquet, by a name that `RUN/**/*.parquet` passes over: who reads a run so wants its predictions alone."""
        return f"manifest/part-{part:05d}.manifest"

    def manifest_of_layout_1(self, part: int) -> str:
        return f"manifest/part-{part:05d}.parquet"

    def predictions(self, shard: int) -> str:
        return f"{PREDICTIONS}shard-{shard:05d}.parquet"

    def log(self, attempt: str) -> str:
        """What the driver of an attempt printed; `attempt` sorts by time."""
        return f"{LOGS}driver-{attempt}.log"

    def shard_of(self, key: str) -> int | None:
        """The shard that a key holds the predictions of; None for any other object."""
        digits = key.removeprefix(f"{PREDICTIONS}shard-").removesuffix(".parquet")
        return int(digits) if digits.isdigit() and key == self.predictions(int(digits)) else None
