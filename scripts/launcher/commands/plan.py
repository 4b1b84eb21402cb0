"""`tench plan`: what a run would do, and what a cluster says of it."""

import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from job.preview import Preview, preview
from job.spec.spec_file import load_spec

if TYPE_CHECKING:
    from tench.launcher.cluster.target import Target

LISTED_CLASSES = 12


def run(spec_path: str, run_id: str | None, as_json: bool) -> None:
    """Prints the run id on stdout, or with `as_json` the preview; people read the table on stderr."""
    found = preview(load_spec(spec_path), run_id)
    if as_json:
        print(found.model_dump_json(indent=1))
        return
    Console(stderr=True).print(preview_to_table(found))
    print(found.run_id)


def run_for_cluster(
    spec_path: str,
    run_id: str | None,
    as_json: bool,
    target: "Target",
    images_per_second: float | None,
    force: bool,
) -> None:
    """As `run`, with what the cluster says. Raises PreflightError where that would make the run hang or fail."""
    from tench.launcher.submit.proposal import draft, propose

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


def preview_to_table(found: Preview) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "run": found.run_uri,
        "images": f"{found.images:,}",
        "bytes": "not told by the source" if found.bytes is None else f"{found.bytes:,}",
        "shards": f"{found.shards:,}",
        "sample": "\n".join(map(repr_if_odd, found.sample_uris)),
        "classes": _classes(found),
        "replicas": f"{found.replicas} ({found.gpus_per_replica} GPUs each, {found.cpus} CPUs in all)",
        "resume": _resume(found),
    }
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def repr_if_odd(uri: str) -> str:
    return uri if uri.isprintable() else repr(uri)


def _classes(found: Preview) -> str:
    if not found.classes:
        return "no expected labels"
    listed = [f"{repr_if_odd(name)} {count:,}" for name, count in list(found.classes.items())[:LISTED_CLASSES]]
    more = len(found.classes) - len(listed)
    unlabelled = f"; {found.without_label:,} images without" if found.without_label else ""
    return f"{len(found.classes):,}: {', '.join(listed)}{f', and {more:,} more' if more else ''}{unlabelled}"


def _resume(found: Preview) -> str:
    if found.state == "new":
        return "nothing to skip, a new run"
    frozen = (
        "" if found.frozen_images == found.images else f"; frozen at {found.frozen_images:,} images when it was planned"
    )
    if found.state == "complete":
        return f"complete: a run would return at once{frozen}"
    return f"skips {found.skipped_shards:,} committed shards, {found.skipped_images:,} images{frozen}"
