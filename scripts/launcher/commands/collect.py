"""`tench collect`: a run's predictions, checked and brought here."""

from rich.console import Console
from rich.filesize import decimal

from job.errors import Interrupted
from job.terminal.console import print_lines
from job.terminal.wording import counted, duration
from tench.launcher.cluster.target import Target
from tench.launcher.collect.collection import Collected, Missing, collect
from tench.launcher.collect.form import Form
from tench.launcher.watch.run_lookup import look_up

LISTED_RANGES = 5


def run(target: Target, word: str, to: str | None, form: Form, partial: bool, as_json: bool) -> None:
    """Prints the folder on stdout, or with `as_json` what is in it. `word` is a run's folder or one of its names."""
    console = Console(stderr=True)
    try:
        found = collect(look_up(target, word).folder_uri, to, form, partial, console)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; what is downloaded stays, and the same call goes on from there") from None
    print_lines(console, *summary_lines(found))
    print(found.model_dump_json() if as_json else found.folder)


def summary_lines(found: Collected) -> list[str]:
    speed = decimal(round(found.downloaded_bytes / max(0.1, found.seconds)))
    downloaded = f"{decimal(found.downloaded_bytes)} downloaded in {duration(found.seconds)}, {speed}/s"
    return [
        f"{counted(found.rows, 'row')} in {counted(len(found.files), 'file')}, {decimal(found.bytes)}; "
        f"{downloaded if found.downloaded_bytes else 'all of it was here'}",
        *([_missing_line(found.missing)] if found.missing else []),
        f"report: {found.report or 'the run has none'}",
    ]


def _missing_line(missing: Missing) -> str:
    ranges = [f"{first:,}–{last:,}" for first, last in missing.rows[:LISTED_RANGES]]
    more = len(missing.rows) - len(ranges)
    rows = ", ".join(ranges) + (f" and {counted(more, 'more range')}" if more else "")
    return f"missing: {counted(missing.shards, 'shard')}, {counted(missing.images, 'image')}: rows {rows}, from 0"
