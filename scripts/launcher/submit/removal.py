"""Removal of a run from its cluster: its release, or its RayJob alone; either stops the job, its folder stays."""

import time

from tench.launcher.cluster.helm import Helm
from tench.launcher.cluster.kube import RAY, Kube
from tench.launcher.watch.cluster_run import Run, runs_of

PATIENCE_S = 90.0
POLL_S = 1.0


def remove(kube: Kube, helm: Helm, run: Run) -> None:
    """Uninstalls the release, or deletes a RayJob that helm knows nothing of. Does not wait."""
    if run.release and helm.status(run.release) is not None:
        helm.uninstall(run.release)
    else:
        kube.delete(f"{RAY}/namespaces/{kube.namespace}/rayjobs/{run.name}")


def wait_until_gone(kube: Kube, run: Run) -> bool:
    """Until its name is free and its driver can write no more; False where that takes longer than `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        there = any(each.uid == run.uid for each in runs_of(kube, run.run_id))
        if not there and (run.warm_cluster or not kube.pods(run.release)):
            return True
        time.sleep(POLL_S)
    return False
