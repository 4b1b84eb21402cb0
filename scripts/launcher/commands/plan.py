"""`tench plan`: what a run would do, and what a cluster says of it."""

import json
from collections.abc import Sequence

from rich.console import Console

from job.errors import ModelError, OutputError, PreflightError, SourceError, StoreError
from job.plan.plan import run_paths
from job.results.preview import Preview, preview
from job.spec.spec import JobSpec
from job.spec.spec_file import load_spec
from job.stores.storage import is_bucket
from tench import api
from tench.launcher.cluster.target import Target
from tench.launcher.preflight.estimate import measure
from tench.launcher.preflight.outlook import outlook_here, work_of
from tench.launcher.preflight.output import write_twice
from tench.launcher.submit.preview_table import preview_table
from tench.launcher.submit.proposal import draft, propose

NOTHING_KNOWN = "none: no earlier run of this model, and its work for an image is not known"


def run(spec_path: str, run_id: str | None, as_json: bool, force: bool) -> None:
    """Prints the run id on stdout, or with `as_json` the preview; people read the table on stderr.

    Raises PreflightError where `tench run` would refuse the spec here, with all that it would refuse.
    """
    spec = load_spec(spec_path)
    problems: list[PreflightError] = [*api.problems_here(spec, run_id)]
    found = _preview(spec, run_id, problems)
    if not any(isinstance(each, OutputError) for each in problems) and (found is None or found.state != "complete"):
        problems += _refused_write(run_paths(spec, run_id).uri)
    if found is not None:
        _show(spec, found.model_copy(update={"problems": [str(each) for each in problems]}), as_json)
    if problems and not (force and found):
        raise _all_of(problems)
    if found is not None and not as_json:
        print(found.run_id)


def _preview(spec: JobSpec, run_id: str | None, problems: list[PreflightError]) -> Preview | None:
    """None where the source cannot be listed or the output not be read; what is wrong is added to the problems."""
    if not any(isinstance(each, ModelError) for each in problems):
        try:
            return _listed(spec, run_id, problems, with_model=True)
        except ModelError as error:  # before the source is listed
            problems.append(error)
    return _listed(spec, run_id, problems, with_model=False)


def _listed(spec: JobSpec, run_id: str | None, problems: list[PreflightError], with_model: bool) -> Preview | None:
    try:
        return preview(spec, run_id, with_model)
    except OutputError:
        return None  # it is among the problems
    except SourceError as error:
        problems.append(error)
        return None


def _show(spec: JobSpec, found: Preview, as_json: bool) -> None:
    outlook = outlook_here(spec, *work_of(found), measure(spec, found.run_id))
    if as_json:
        told = outlook.model_dump() if outlook else None
        print(json.dumps({**found.model_dump(mode="json"), "forecast": told}, indent=1, ensure_ascii=False))
        return
    table = preview_table(found)
    table.add_row("forecast", outlook.line() if outlook else NOTHING_KNOWN)
    Console(stderr=True).print(table)


def _refused_write(run_uri: str) -> Sequence[PreflightError]:
    """A bucket tells only a writer whether it may be written; a folder was looked at."""
    try:
        if is_bucket(run_uri):
            write_twice(run_uri)
    except StoreError as error:
        return [OutputError(f"output.uri: {error}")]
    return []


def _all_of(problems: Sequence[PreflightError]) -> PreflightError:
    if len(problems) == 1:
        return problems[0]
    return PreflightError("\n  ".join([f"tench run would refuse {len(problems)} things here:", *map(str, problems)]))


def run_for_cluster(
    spec_path: str,
    run_id: str | None,
    as_json: bool,
    target: Target,
    images_per_second: float | None,
    force: bool,
) -> None:
    """As `run`, with what the cluster says. Raises PreflightError where that would make the run hang or fail."""
    console = Console(stderr=True)
    proposal = propose(draft(load_spec(spec_path), run_id, target), images_per_second, console)
    if as_json:
        found = proposal.preview.model_dump() if proposal.preview else {"run_id": proposal.draft.release.name}
        print(json.dumps({**found, "cluster": proposal.to_json()}, indent=1))
    else:
        proposal.show(console)
    proposal.check(force)
    if not as_json:
        print(proposal.draft.release.name)
