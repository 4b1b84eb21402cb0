"""A run as the cluster knows it: one RayJob of the chart, found by any of its names."""

from dataclasses import dataclass
from typing import Any

from job.errors import UsageError
from job.plan.paths import RAY_LOGS, RunPaths, ray_driver_log
from job.terminal.spelling import did_you_mean
from tench.launcher.cluster.kube import Kube
from tench.launcher.cluster.labels import INSTANCE, OUTPUT_URI, RAY_CLUSTER, RUN_ID


@dataclass(frozen=True)
class Run:
    """One RayJob's JSON, by the names of its parts; of a folder alone, `document` is empty."""

    document: dict[str, Any]
    paths: RunPaths

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Run":
        metadata = document["metadata"]
        output_uri = (metadata.get("annotations") or {}).get(OUTPUT_URI, "")
        return cls(document, RunPaths(output_uri, (metadata.get("labels") or {}).get(RUN_ID, metadata["name"])))

    @property
    def run_id(self) -> str:
        return self.paths.run_id

    @property
    def name(self) -> str:
        """The RayJob's."""
        return str(self._metadata.get("name", ""))

    @property
    def release(self) -> str:
        return str(self.labels.get(INSTANCE, ""))

    @property
    def labels(self) -> dict[str, str]:
        return self._metadata.get("labels") or {}

    @property
    def uid(self) -> str:
        return str(self._metadata.get("uid", ""))

    @property
    def created(self) -> str | None:
        return self._metadata.get("creationTimestamp")

    @property
    def spec(self) -> dict[str, Any]:
        return self.document.get("spec") or {}

    @property
    def status(self) -> dict[str, Any]:
        return self.document.get("status") or {}

    @property
    def warm_cluster(self) -> str | None:
        """The cluster that stays, where the run uses one."""
        return (self.spec.get("clusterSelector") or {}).get(RAY_CLUSTER)

    @property
    def raycluster(self) -> str:
        """Of the current attempt; "" before there is one."""
        return self.warm_cluster or str(self.status.get("rayClusterName") or "")

    @property
    def driver_log(self) -> str:
        """Where the head keeps it; "" before the driver is submitted."""
        job = self.status.get("jobId")
        return f"{RAY_LOGS}/{ray_driver_log(job)}" if job else ""

    @property
    def pods_wanted(self) -> int:
        """Head and workers; 0 where the cluster stays, which has its own."""
        groups = (self.spec.get("rayClusterSpec") or {}).get("workerGroupSpecs") or []
        return 0 if self.warm_cluster else 1 + sum(group.get("replicas", 0) for group in groups)

    @property
    def _metadata(self) -> dict[str, Any]:
        return self.document.get("metadata") or {}


def runs_of(kube: Kube, run_id: str | None = None) -> list[Run]:
    """The namespace's runs, or the RayJobs of one; the newest first."""
    return [Run.of(document) for document in kube.rayjobs(run_id)]


def look_again(kube: Kube, run: Run) -> Run | None:
    """The run as its release has it now; None where its RayJob is gone."""
    return next((each for each in runs_of(kube, run.run_id) if each.release == run.release), None)


def find_run(kube: Kube, word: str) -> Run:
    """By run id, release or RayJob; the newest where several fit. Raises UsageError."""
    runs = runs_of(kube)
    for run in runs:
        if word in (run.run_id, run.release, run.name):
            return run
    names = sorted({name for run in runs for name in (run.run_id, run.release, run.name)})
    hint = did_you_mean(word, names)
    hint = hint or (
        "; `tench list` shows those that are" if runs else "; it has none: is it the right one (-n, --context)?"
    )
    raise UsageError(f"no run {word!r} in the namespace {kube.namespace}{hint}")
