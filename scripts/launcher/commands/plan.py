"""`tench plan`: what a run would do, and what a cluster says of it."""

import json

from rich.console import Console

from job.results.preview import preview
from job.spec.spec_file import load_spec
from tench.launcher.cluster.target import Target
from tench.launcher.submit.preview_table import preview_table
from tench.launcher.submit.proposal import draft, propose


def run(spec_path: str, run_id: str | None, as_json: bool) -> None:
    """Prints the run id on stdout, or with `as_json` the preview; people read the table on stderr.

    Raises ModelError where the model cannot be built as the spec says.
    """
    found = preview(load_spec(spec_path), run_id, with_model=True)
    if as_json:
        print(found.model_dump_json(indent=1))
        return
    Console(stderr=True).print(preview_table(found))
    print(found.run_id)


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
