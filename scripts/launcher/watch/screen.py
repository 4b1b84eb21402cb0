"""What a person sees of a run: one screen on a terminal, a plain line every ten seconds elsewhere."""

import datetime
import logging
import time
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from job.plan.records import Progress
from job.terminal.wording import count, duration, printable
from tench.launcher.watch.status import Phase, Status, progress_words

log = logging.getLogger(__name__)

LINE_S = 10.0
STYLES = {
    Phase.SUCCEEDED: "green",
    Phase.RUNNING: "cyan",
    Phase.FAILED: "red",
    Phase.STOPPED: "red",
    Phase.UNFINISHED: "red",
}
BAR_WIDTH = 40


class Screen:
    """A context that shows a status as often as it is told to."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._lined_at = -LINE_S
        self._said: tuple[object, ...] = ()

    def __enter__(self) -> "Screen":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, status: Status) -> None:
        if self._live:
            self._live.update(picture(status), refresh=True)
        else:
            self._line(status)

    def _line(self, status: Status) -> None:
        """At once where the phase or a reason is new."""
        said = (status.phase, status.attempt, *(reason.text for reason in status.reasons), *status.notes)
        now = time.monotonic()
        if said == self._said and now - self._lined_at < LINE_S:
            return
        log.info("%s", status.line())
        if said != self._said:
            for line in [*(f"fix: {reason.way_out}" for reason in status.reasons), *status.notes]:
                log.info("%s", line)
        self._said, self._lined_at = said, now


def picture(status: Status) -> RenderableType:
    """For a terminal, and for `tench status`."""
    rows = Table(box=None, show_header=False, pad_edge=False)
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("run", Text(f"{status.run_id} in {status.namespace}" if status.rayjob else status.run_id))
    rows.add_row("phase", _phase(status))
    if status.pods and not status.phase.ended:
        rows.add_row("pods", Text(status.pods_words()))
    if status.progress:
        done, total = status.progress.rows_done, status.progress.total
        rows.add_row("images", Text(progress_words(status.progress)))
        rows.add_row("", ProgressBar(total=max(1, total), completed=done, width=BAR_WIDTH))
        if status.progress.bottleneck and status.phase is Phase.RUNNING:
            rows.add_row("busy", Text(printable(status.progress.bottleneck)))
    rows.add_row("folder", Text(printable(status.folder)))
    if status.message:
        rows.add_row("error", Text(_lines(status.message), style="red"))
    for reason in status.reasons:
        rows.add_row("why", Text(_lines(reason.text), style="yellow"))
        rows.add_row("fix", Text(_lines(reason.way_out)))
    for note in status.notes:
        rows.add_row("note", Text(_lines(note), style="dim"))
    return rows


def _phase(status: Status) -> Text:
    attempt = f", attempt {status.attempt} of {status.attempts}" if status.attempts > 1 else ""
    seconds = status.seconds(datetime.datetime.now(datetime.UTC))
    took = "" if seconds != seconds else f", {'after' if status.phase.ended else 'for'} {duration(seconds)}"
    return Text.assemble((status.phase.value, STYLES.get(status.phase, "yellow")), attempt, took)


def _total(progress: Progress) -> str:
    """With a plus while the source is being listed."""
    return f"{count(progress.total)}{'' if progress.is_listed else '+'}"


def list_table(statuses: list[Status]) -> Table:
    """One row for each RayJob, the newest first."""
    table = Table(box=None, pad_edge=False)
    for name in ("RUN", "RELEASE", "PHASE", "IMAGES", "FAILED", "TOOK", "MADE"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("IMAGES", "FAILED", "TOOK") else "left")
    now = datetime.datetime.now(datetime.UTC)
    for status in statuses:
        progress, seconds = status.progress, status.seconds(now)
        images = f"{count(progress.rows_done)}/{_total(progress)}" if progress else "–"
        table.add_row(
            Text(status.run_id),
            Text(status.release),
            Text(status.phase.value, style=STYLES.get(status.phase, "yellow")),
            images,
            count(progress.failed) if progress else "–",
            "–" if seconds != seconds else duration(seconds),
            (status.created or "–").replace("T", " "),
        )
    return table


def _lines(text: str) -> str:
    """Terminal escapes spelled out, line breaks kept."""
    return "\n".join(printable(line) for line in text.splitlines())
