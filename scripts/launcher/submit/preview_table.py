"""The preview's table: what a run would read, make and skip. `tench plan` and `tench submit` show it on stderr."""

from rich.table import Table
from rich.text import Text

from job.results.left_out_text import left_out_lines
from job.results.preview import LISTING_S, Preview
from job.terminal.wording import counted

LISTED_CLASSES = 12


def preview_table(found: Preview) -> Table:
    """A row for each thing that a person asks before a run."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    more = "more than " if found.is_sample else ""
    sampled = f" (listed for {LISTING_S:g} s; a run lists the others while it works)" if found.is_sample else ""
    rows = {
        "run": found.run_uri,
        "images": f"{more}{found.images:,}{sampled}",
        "bytes": "not told by the source" if found.bytes is None else f"{more}{found.bytes:,}",
        "shards": f"{more}{found.shards:,}",
        "sample": "\n".join(map(_repr_if_odd, found.sample_uris)),
        "labels": _labels(found),
        "classes": _classes(found),
        "replicas": f"{found.replicas} ({found.gpus_per_replica} GPUs each, {found.cpus} CPUs in all)",
        "resume": _resume(found),
    }
    if found.left_out:
        rows["left out"] = "\n".join(left_out_lines(found.left_out))
    if found.recipe:
        rows["recipe"] = found.recipe
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _repr_if_odd(uri: str) -> str:
    return uri if uri.isprintable() else repr(uri)


def _labels(found: Preview) -> str:
    if found.label_from == "none":
        return "not asked for (source.label_from)"
    labelled = found.images - found.without_label
    return f"{labelled:,} of {counted(found.images, 'image')} from {found.label_from}, {found.without_label:,} without"


def _classes(found: Preview) -> str:
    if not found.classes:
        return "none expected"
    listed = [f"{_repr_if_odd(name)} {count:,}" for name, count in list(found.classes.items())[:LISTED_CLASSES]]
    more = len(found.classes) - len(listed)
    return f"{len(found.classes):,}: {', '.join(listed)}{f', and {more:,} more' if more else ''}"


def _resume(found: Preview) -> str:
    if found.state == "new":
        return "nothing to skip, a new run"
    frozen = (
        "" if found.frozen_images == found.images else f"; frozen at {found.frozen_images:,} images when it was planned"
    )
    if found.state == "complete":
        return f"complete: a run would return at once{frozen}"
    return f"skips {found.skipped_shards:,} committed shards, {found.skipped_images:,} images{frozen}"
