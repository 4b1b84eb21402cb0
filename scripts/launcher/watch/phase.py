"""From a RayJob's two states to one phase, and its failure to a few words.

KubeRay's states: https://github.com/ray-project/kuberay, ray-operator/apis/ray/v1/rayjob_types.go.
"""

from tench.launcher.cluster.labels import QUEUE_NAME
from tench.launcher.watch.cluster_run import Run
from tench.launcher.watch.status import Phase

MESSAGE_LINES = 6
ADVICE = {
    "PreRunningDeadlineExceeded": "its pods were not ready in time (deadlines.preRunningSeconds)",
    "DeadlineExceeded": "it took longer than deadlines.activeSeconds; install it again to resume",
    "JobStatusCheckTimeoutExceeded": "KubeRay lost the driver: the head is gone, or does not answer",
    "SubmissionFailed": "the driver could not be submitted",
}


def phase_of(run: Run) -> Phase:
    deployment, job = run.status.get("jobDeploymentStatus") or "", run.status.get("jobStatus") or ""
    waiting = Phase.QUEUED if QUEUE_NAME in run.labels else Phase.SUSPENDED
    if deployment == "Complete":  # a job that failed is Failed; one that was stopped is Complete, too
        return {"SUCCEEDED": Phase.SUCCEEDED, "STOPPED": Phase.STOPPED}.get(job, Phase.FAILED)
    if deployment in ("Failed", "ValidationFailed"):  # KubeRay looks at neither again
        return Phase.FAILED
    if deployment in ("Suspending", "Suspended"):
        return waiting
    if deployment == "Retrying":
        return Phase.RETRYING
    if deployment == "Running" and job not in ("", "PENDING"):
        return Phase.RUNNING
    return waiting if run.spec.get("suspend") else Phase.STARTING


def attempt_of(run: Run) -> int:
    """The attempt that runs, or the last one, from 1."""
    before: int = run.status.get("failed", 0) + run.status.get("succeeded", 0)
    return max(1, before if phase_of(run).ended else before + 1)


def failure_words(run: Run) -> str:
    """What the job said last, else KubeRay's words; "" unless it failed."""
    phase, reason = phase_of(run), run.status.get("reason") or ""
    if phase is Phase.STOPPED:
        return "it was stopped; what is committed stays"
    if phase is not Phase.FAILED:
        return ""
    said = [line for line in str(run.status.get("message") or "").splitlines() if line.strip()]
    starts = [index for index, line in enumerate(said) if line.startswith("tench: ")]
    words = "\n".join(said[starts[-1] :] if starts else said[-MESSAGE_LINES:]).removeprefix("tench: ")
    advice = ADVICE.get(reason, "" if words else reason)
    return ": ".join(part for part in (advice, words) if part)
