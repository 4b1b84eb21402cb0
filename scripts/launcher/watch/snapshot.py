"""A snapshot: what the cluster and the run's folder say of a run, put together."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

from job.errors import PreflightError, TenchError
from job.plan.records import Progress, Success
from tench.launcher.cluster.kube import Kube, KubeError, Unreachable
from tench.launcher.cluster.labels import OPERATOR_SELECTOR
from tench.launcher.cluster.roles import role_of
from tench.launcher.watch.cluster_run import Run
from tench.launcher.watch.events import reasons_of_events, reasons_of_log, scale_up_of
from tench.launcher.watch.phase import attempt_of, failure_words, phase_of
from tench.launcher.watch.pod_states import CRASH_LINES, Pod, count_states, ready_since, reasons_of, state_of
from tench.launcher.watch.queue import reason_of_queue
from tench.launcher.watch.run_folder import RunFolder
from tench.launcher.watch.status import Phase, Reason, Status, age_s

T = TypeVar("T")

ALONE = "there is no _SUCCESS yet; whether it goes on, a folder does not tell"
NEVER = "9999-01-01T00:00:00Z"  # what was written before has no rate now
STALLED_S = 180.0
DRIVER_S = 90.0
OPERATOR_S = 60.0
LOG_IS_GONE = "unable to retrieve container logs"  # the kubelet's words, in the place of the lines


def brief(run: Run, folder: RunFolder, namespace: str = "") -> Status:
    """Without pods and reasons: what `tench list` shows, and what a folder alone tells."""
    success = folder.success()
    phase = phase_of(run) if run.document else Phase.SUCCEEDED if success else Phase.UNFINISHED
    return Status(
        run_id=run.run_id,
        release=run.release,
        rayjob=run.name,
        namespace=namespace,
        folder=folder.uri,
        phase=phase,
        attempt=attempt_of(run),
        attempts=1 + run.spec.get("backoffLimit", 0),
        created=run.created,
        started=run.status.get("startTime"),
        ended=run.status.get("endTime") if phase.ended else None,
        pods={},
        pods_wanted=run.pods_wanted,
        progress=_progress(run, phase, folder, success),
        complete=None if folder.problem else success is not None,
        message=failure_words(run) if run.document or success else ALONE,
        reasons=[],
        notes=_notes_of(phase, folder, success),
    )


class Snapshots:
    """With pods and reasons. Of one namespace. What may not be read is left out, and `notes` of the status say so."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self._notes: list[str] = []

    def full(self, run: Run, folder: RunFolder) -> Status:
        """Raises Unreachable, and PreflightError where pods may not be read."""
        status = brief(run, folder, self.kube.namespace)
        self._notes = []
        pods = self.pods(run)
        reasons = self._reasons(run, folder, status, pods)
        return status.model_copy(
            update={"pods": count_states(pods), "reasons": reasons, "notes": [*status.notes, *self._notes]}
        )

    def pods(self, run: Run) -> list[Pod]:
        own = self.kube.pods(run.release)
        return [*self.kube.cluster_pods(run.warm_cluster), *own] if run.warm_cluster else own

    def _reasons(self, run: Run, folder: RunFolder, status: Status, pods: Sequence[Pod]) -> list[Reason]:
        if status.phase is Phase.QUEUED:
            return self._allowed(lambda: [reason_of_queue(self.kube, run)], [])
        if status.phase is Phase.FAILED:
            return reasons_of_log(folder.driver_log_end()) if _ran(run) else self._events(run, [])
        if status.phase.ended:
            return []
        found = reasons_of(pods, self.kube.namespace, self._last_lines)
        if any(reason.kind == "unschedulable" for reason in found):
            self._notes += self._scale_up(pods)
        everything_is_up = len(pods) >= max(1, run.pods_wanted) and all(state_of(pod) == "ready" for pod in pods)
        if not found and not everything_is_up:
            found = self._missing(run, pods)
        if not found and status.phase is Phase.STARTING and everything_is_up:
            found = _without_driver(run, pods)
        if not found and status.phase is Phase.RUNNING:
            found = reasons_of_log(folder.driver_log_end()) or _stalled(status, run)
        return found

    def _scale_up(self, pods: Sequence[Pod]) -> list[str]:
        """What the cluster's autoscaler says of one of the pods that wait for a node."""
        name = next(pod["metadata"]["name"] for pod in pods if state_of(pod) == "pending")
        return scale_up_of(self._allowed(lambda: self.kube.events(name), []))

    def _missing(self, run: Run, pods: Sequence[Pod]) -> list[Reason]:
        """Why pods are not there, or not ready for no reason of their own."""
        if not run.status.get("jobDeploymentStatus") and age_s(run.created) > OPERATOR_S:
            way_out = f"kubectl get pods -A -l '{OPERATOR_SELECTOR}'"
            return [
                Reason(kind="operator", text="KubeRay has not looked at it: is its operator running?", way_out=way_out)
            ]
        if run.warm_cluster and not self._allowed(lambda: self.kube.raycluster(run.raycluster), {"": ""}):
            text = f"the cluster {run.warm_cluster} is not in the namespace {self.kube.namespace}"
            return [Reason(kind="cluster", text=text, way_out="install it (mode: cluster), or correct `cluster`")]
        return self._events(run, pods) if len(pods) < run.pods_wanted else []

    def _events(self, run: Run, pods: Sequence[Pod]) -> list[Reason]:
        """Of what is not there; the clusters' and pods' names begin with the RayJob's."""
        there = {pod["metadata"]["name"] for pod in pods}
        events: list[dict[str, Any]] = self._allowed(lambda: self.kube.events_of(run.name), [])
        return reasons_of_events([event for event in events if event["involvedObject"]["name"] not in there])

    def _last_lines(self, pod: str, container: str) -> Sequence[str]:
        def read(previous: bool) -> list[str]:
            lines = islice(self.kube.pod_log(pod, container, CRASH_LINES, previous=previous), CRASH_LINES)
            return [line for line in lines if not line.startswith(LOG_IS_GONE)]

        try:
            return read(previous=True)
        except KubeError:  # it has not been started again
            return self._allowed(lambda: read(previous=False), [])
        except PreflightError as error:
            self._notes.append(str(error))
            return []

    def _allowed(self, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except Unreachable:
            raise
        except TenchError as error:
            self._notes.append(str(error))
            return otherwise


def _progress(run: Run, phase: Phase, folder: RunFolder, success: Success | None) -> Progress | None:
    if success:
        return Progress(rows_done=success.rows, failed=success.failed, total=success.rows)
    return folder.progress(NEVER if phase.ended else run.status.get("startTime"))


def _notes_of(phase: Phase, folder: RunFolder, success: Success | None) -> list[str]:
    if folder.problem:
        return [f"how far it is cannot be read here: {folder.problem}"]
    if success and phase in (Phase.FAILED, Phase.STOPPED):
        return [f"its result is complete since {success.finished} all the same"]
    return []


def _ran(run: Run) -> bool:
    return run.status.get("reason") in ("AppFailed", "ValidationFailed")


def _without_driver(run: Run, pods: Sequence[Pod]) -> list[Reason]:
    """Where the pods are up and Ray's dashboard takes no job, or starts none."""
    waited_s = min((age_s(ready_since(pod)) for pod in pods), default=0.0)
    if waited_s < DRIVER_S:
        return []
    head = next((pod["metadata"]["name"] for pod in pods if role_of(pod) == "head"), "HEAD")
    text = f"all pods are ready since {max(1, waited_s // 60):.0f} min, and the head has not started the driver"
    return [Reason(kind="driver", text=text, way_out=f"raise head.memory; tench logs {run.run_id} --worker {head}")]


def _stalled(status: Status, run: Run) -> list[Reason]:
    """Where everything is up and the driver was silent for a while, or has not had a row yet."""
    way_out = f"tench logs {run.run_id} -f"
    progress, updated = status.progress, status.progress.updated if status.progress else None
    silent_s = min(age_s(updated), age_s(run.status.get("startTime")))
    if silent_s >= STALLED_S:
        text = f"the driver has written no progress for {silent_s // 60:.0f} min"
        return [Reason(kind="stalled", text=text, way_out=way_out)]
    # Of this driver: a lost head's is started again without the RayJob.
    driver_s = age_s((run.status.get("rayJobInfo") or {}).get("startTime"))
    if progress and progress.images_per_second == 0 and driver_s >= STALLED_S:
        text = f"no image has come out in the {driver_s // 60:.0f} min since the driver started"
        return [Reason(kind="stalled", text=text, way_out=way_out)]
    return []
