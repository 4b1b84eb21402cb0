"""The proposal: what a submit would do. `tench plan` shows it, `tench submit` goes on from it; nothing is started."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from job.errors import OutputError, PreflightError, SourceError, StoreError
from job.models.model_files import missing_model_files
from job.plan.forecast.forecast import Forecast
from job.plan.paths import RunPaths
from job.plan.plan import check_unchanged
from job.plan.records import load_plan
from job.results.preview import Preview, preview
from job.spec.spec import JobSpec
from job.stores.storage import is_bucket, open_folder
from job.terminal.wording import counted
from tench.launcher.cluster.helm import Helm
from tench.launcher.cluster.kube import Kube
from tench.launcher.cluster.release import Release, render_release
from tench.launcher.cluster.target import Target
from tench.launcher.preflight.checks import check_run
from tench.launcher.preflight.estimate import Estimate, Measured, estimate, measure
from tench.launcher.preflight.finding import Finding, error, warning
from tench.launcher.preflight.operator import find_operator
from tench.launcher.preflight.outlook import outlook_on_pods, work_of
from tench.launcher.preflight.pod_groups import pod_groups
from tench.launcher.submit.preview_table import preview_table

STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


@dataclass(frozen=True)
class Draft:
    """A release rendered for the operator that the cluster has."""

    kube: Kube
    helm: Helm
    release: Release
    operator: Finding
    is_complete: bool


@dataclass(frozen=True)
class Proposal:
    """A draft, and what the source, the store and the cluster say of it."""

    draft: Draft
    preview: Preview | None
    findings: Sequence[Finding]
    estimate: Estimate
    outlook: Forecast | None

    @property
    def errors(self) -> list[Finding]:
        return [each for each in self.findings if each.level == "error"]

    def check(self, force: bool) -> None:
        """Raises PreflightError where something would make the run hang or fail, unless that is wanted."""
        if self.errors and not force:
            problems = counted(len(self.errors), "problem")
            raise PreflightError(
                f"{problems} that would make the run hang or fail; nothing was started. --force goes on"
            )

    def to_json(self) -> dict[str, Any]:
        """As `tench plan -o json` prints it below `cluster`."""
        return {
            "context": self.draft.kube.context,
            "namespace": self.draft.kube.namespace,
            "findings": [each.model_dump() for each in self.findings],
            "estimate": self.estimate.model_dump(),
            "forecast": self.outlook.model_dump() if self.outlook else None,
        }

    def show(self, console: Console) -> None:
        if self.preview:
            console.print(preview_table(self.preview))
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        kube = self.draft.kube
        table.add_row(Text("cluster", "bold"), Text(f"{kube.context or 'of this pod'}, namespace {kube.namespace}"))
        for each in self.findings:
            table.add_row(Text(each.level, STYLES[each.level]), Text(f"{each.what}: {each.text}"))
        table.add_row(Text("asks for", "bold"), Text(self.estimate.line()))
        if self.outlook:
            table.add_row(Text("forecast", "bold"), Text(self.outlook.line()))
        console.print(table)


def draft(spec: JobSpec, run_id: str | None, target: Target) -> Draft:
    """Asks the cluster for its operator alone. Raises UsageError for wrong values, PreflightError without a cluster."""
    kube = target.kube()
    helm = target.helm(kube)
    operator = find_operator(kube)
    # Before the user's values, so that theirs go before it.
    release = render_release(helm, spec, run_id, replace(target.values(), defaults=operator.values))
    return Draft(kube, helm, release, operator.finding, _is_complete(release))


def _is_complete(release: Release) -> bool:
    """Raises PlanChanged where the run id belongs to another plan."""
    try:
        folder = open_folder(release.paths.uri)
        if plan := load_plan(folder):
            check_unchanged(plan, release.spec)
        return folder.head(RunPaths.success) is not None
    except StoreError:  # which the preview will tell
        return False


def propose(drafted: Draft, images_per_second: float | None, console: Console) -> Proposal:
    """Lists the source and looks at everything the run needs. Raises Unreachable, PlanChanged."""
    spec, run_id = drafted.release.spec, drafted.release.paths.run_id
    with console.status("listing the source"):
        found, problems = _preview(spec, run_id)
    with console.status("looking at the cluster"):
        findings = [drafted.operator, *problems, *_model(spec), *check_run(drafted.kube, drafted.release)]
    given = Measured(images_per_second=images_per_second, source="as given") if images_per_second else None
    images = found.images - found.skipped_images if found and not found.is_sample else None
    groups = pod_groups(drafted.release.rayjob)
    measured = given or measure(spec, run_id)
    outlook = outlook_on_pods(spec, groups, *work_of(found), measured) if found else None
    return Proposal(drafted, found, findings, estimate(spec, groups, images, measured), outlook)


def _preview(spec: JobSpec, run_id: str) -> tuple[Preview | None, list[Finding]]:
    if not (is_bucket(spec.source.uri) and is_bucket(spec.output.uri)):
        return None, [
            warning("source", "a path in the pods is not looked at from here; a volume must be mounted there")
        ]
    try:
        return preview(spec, run_id), []
    except SourceError as problem:
        return None, [error("source", str(problem))]
    except OutputError as problem:
        return None, [error("output", str(problem))]
    except StoreError as problem:
        return None, [error("source", f"{problem}; mend that, or --force where the pods have other credentials")]


def _model(spec: JobSpec) -> list[Finding]:
    """What it names in buckets; its paths are the pods'."""
    way_out = "mend that, or --force where the pods have other credentials"
    return [error("model", f"{problem}; {way_out}") for problem in missing_model_files(spec.model, in_buckets=True)]
