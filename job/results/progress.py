"""Progress: a bar on a terminal, a line every ten seconds elsewhere, and `progress.json` in the run's folder.

Fed by the driver with every table of rows. It owns the rates, the time left, and which stage is the bottleneck.
"""

import datetime
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from job.errors import StoreError
from job.plan.paths import RunPaths
from job.plan.records import Plan, Progress
from job.stages.slots import Slots
from job.stages.timing import Figures
from job.stores.storage import Folder
from job.terminal.ticker import Ticker

log = logging.getLogger(__name__)

INTERVAL_S = 10.0
WINDOW_S = 60.0


class ProgressReporter:
    """A context: while it is open, a thread shows and writes how far the run is. `add` counts rows as they come."""

    def __init__(
        self,
        folder: Folder,
        total: int,
        done: int,
        console: Console,
        slots: Slots,
        so_far: Callable[[], Plan] | None = None,
    ) -> None:
        """`done` are those of earlier attempts; `so_far` gives the plan where its images still grow in number."""
        self.done = done
        self.failed: Counter[str] = Counter()
        self.busy_s: Counter[str] = Counter()
        self.device = self.precision = ""
        self._folder, self._all, self._slots = folder, total, slots
        self._so_far = so_far
        self._at_start = done
        self._started: float | None = None
        self._opened = time.monotonic()
        self._window: deque[tuple[float, int]] = deque()
        self._ticker = Ticker(INTERVAL_S, self._report)
        self._bar = Bar(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            disable=not (console.is_terminal or console.is_jupyter),
        )
        self._task = self._bar.add_task("starting", total=total, completed=done)

    def __enter__(self) -> "ProgressReporter":
        self._bar.start()
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()
        self._bar.stop()
        self._write()

    def add(self, rows: pa.Table, figures: list[Figures]) -> None:
        now = time.monotonic()
        for each in figures:
            if self._started is None:
                # Steady time begins with the first block's work, not when its rows are here.
                self._started = max(self._opened, now - each["predict_s"] - each["decode_s"] - each["read_s"])
            self.busy_s.update({stage: each[f"{stage}_s"] for stage in ("read", "decode", "predict")})
            self.device, self.precision = each["device"], each["precision"]
        self.failed.update(error.split(":", 1)[0] for error in rows["error"].drop_null().to_pylist())
        self.done += rows.num_rows
        self._window.append((now, self.done))
        while now - self._window[0][0] > WINDOW_S:
            self._window.popleft()
        listing = "" if self._is_listed else ", listing"
        words = f"{self._rate_text()}, {self._failed_text()}{listing}"
        self._bar.update(self._task, completed=self.done, total=self._total, description=words)

    @property
    def _total(self) -> int:
        return self._so_far().images if self._so_far else self._all

    @property
    def _is_listed(self) -> bool:
        return self._so_far is None or self._so_far().is_listed

    @property
    def images_per_second(self) -> float:
        """Of this attempt, since the first image was worked at."""
        if self._started is None:
            return 0.0
        return (self.done - self._at_start) / max(1e-9, time.monotonic() - self._started)

    @property
    def eta_s(self) -> float | None:
        """By the rate of the last minute."""
        if not self._window or not self._is_listed:
            return None
        (since, then), now = self._window[0], time.monotonic()
        rate = (self.done - then) / (now - since) if self.done > then else self.images_per_second
        return (self._total - self.done) / rate if rate > 0 else None

    def utilisation(self) -> dict[str, float]:
        """Of each stage, the share of its slots that were busy; reading and decoding share their threads."""
        wall_s = time.monotonic() - (self._started or self._opened)
        slots = {
            "read": self._slots.decode_threads,
            "decode": self._slots.decode_threads,
            "predict": self._slots.replicas,
        }
        return {stage: min(1.0, self.busy_s[stage] / max(1e-9, wall_s * slots[stage])) for stage in slots}

    def bottleneck(self) -> str:
        """Such as `decode (read 4 %, decode 91 %, predict 38 % busy)`."""
        shares = self.utilisation()
        threads = "read" if shares["read"] > shares["decode"] else "decode"
        stage = threads if shares["read"] + shares["decode"] >= shares["predict"] else "predict"
        return f"{stage} ({', '.join(f'{name} {share:.0%}' for name, share in shares.items())} busy)"

    def line(self) -> str:
        left = "" if self.eta_s is None else f", {datetime.timedelta(seconds=round(self.eta_s))} left"
        listed = "" if self._is_listed else " listed so far"
        done = f"{self.done:,} of {self._total:,} images{listed}, {self._failed_text()}{left}"
        return f"{done}, {self._rate_text()}; bottleneck: {self.bottleneck()}"

    def _report(self) -> None:
        self._write()
        if self._bar.disable:
            log.info("%s", self.line())

    def _failed_text(self) -> str:
        failed = self.failed.total()
        return f"{failed:,} failed" if failed else "no failures"

    def _rate_text(self) -> str:
        return f"{self.images_per_second:,.0f} images/s"

    def _write(self) -> None:
        progress = Progress(
            rows_done=self.done,
            failed=self.failed.total(),
            total=self._total,
            is_listed=self._is_listed,
            images_per_second=float(f"{self.images_per_second:.3g}"),  # 0 where there is no row, and only there
            eta_s=None if self.eta_s is None else round(self.eta_s, 1),
            bottleneck=self.bottleneck(),
            updated=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        try:
            self._folder.put(RunPaths.progress, progress.to_bytes())
        except StoreError as error:
            log.warning("progress is not written: %s", error)
