"""The checks, one after the other; where one may not look, that is a finding, too."""

from collections.abc import Callable

from job.errors import PreflightError
from tench.launcher.cluster.kube import Kube, Unreachable
from tench.launcher.cluster.release import Release
from tench.launcher.preflight.finding import Finding, warning
from tench.launcher.preflight.kueue import check_queue
from tench.launcher.preflight.namespace import check_namespace
from tench.launcher.preflight.nodes import check_nodes
from tench.launcher.preflight.output import check_output
from tench.launcher.preflight.pod_groups import pod_groups
from tench.launcher.preflight.references import check_references


def check_run(kube: Kube, release: Release) -> list[Finding]:
    """What the cluster and the store say of a run. Raises Unreachable."""
    rayjob, objects = release.rayjob, release.objects
    groups = pod_groups(rayjob)
    return [
        *_looked("namespace", lambda: check_namespace(kube, groups)),
        *_looked("nodes", lambda: check_nodes(kube, groups)),
        *_looked("queue", lambda: check_queue(kube, rayjob, groups)),
        *_looked("references", lambda: check_references(kube, objects, rayjob, groups)),
        check_output(release.paths.uri),
    ]


def _looked(what: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except Unreachable:
        raise
    except PreflightError as refused:
        return [warning(what, f"not looked at: {refused}")]
