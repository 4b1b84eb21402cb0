"""How far a collection is: bars on a terminal, a line every ten seconds elsewhere."""

import datetime
import logging
from types import TracebackType

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from job.terminal.ticker import Ticker

log = logging.getLogger(__name__)

INTERVAL_S = 10.0


class CollectProgress:
    """A context: while it is open, a thread shows how far it is. Safe to use from several threads."""

    def __init__(self, console: Console, total_bytes: int, there_bytes: int, total_rows: int) -> None:
        """`there_bytes` are those that an earlier call brought; without rows to write there is one bar."""
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        self._bars = Bars(
            *columns, TimeRemainingColumn(), TextColumn("left"), console=console, disable=not console.is_terminal
        )
        self._bytes = self._bars.add_task("download", total=total_bytes, completed=there_bytes, text="")
        self._rows = self._bars.add_task("write", total=total_rows, text="", visible=total_rows > 0)
        self._ticker = Ticker(INTERVAL_S, self._report)

    def __enter__(self) -> "CollectProgress":
        self._bars.start()
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()
        self._bars.stop()

    def downloaded(self, size: int) -> None:
        self._bars.update(self._bytes, advance=size)
        self._bars.update(self._bytes, text=self._downloaded_text())

    def wrote(self, rows: int) -> None:
        self._bars.update(self._rows, advance=rows)
        self._bars.update(self._rows, text=self._wrote_text())

    def line(self) -> str:
        """Such as `310.0 MB of 1.0 GB, 95.2 MB/s; wrote 120,000 of 400,000 rows; 0:00:07 left`."""
        writing = f"; wrote {self._wrote_text()}" if self._bars.tasks[self._rows].visible else ""
        slowest = [task.time_remaining for task in self._bars.tasks if task.visible and task.time_remaining is not None]
        left = f"; {datetime.timedelta(seconds=round(max(slowest)))} left" if slowest else ""
        return f"{self._downloaded_text()}{writing}{left}"

    def _downloaded_text(self) -> str:
        task = self._bars.tasks[self._bytes]
        speed = f", {decimal(int(task.speed))}/s" if task.speed else ""
        return f"{decimal(int(task.completed))} of {decimal(int(task.total or 0))}{speed}"

    def _wrote_text(self) -> str:
        task = self._bars.tasks[self._rows]
        return f"{task.completed:,.0f} of {task.total or 0:,.0f} rows"

    def _report(self) -> None:
        if self._bars.disable:
            log.info("%s", self.line())
