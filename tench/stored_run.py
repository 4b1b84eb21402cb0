"""A run's folder as an object: its plan, its progress, its predictions as Arrow tables. Made by `tench.open_run`."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from job.errors import RunFailed, UsageError
from job.plan.parts import load_frozen
from job.plan.paths import RunPaths
from job.plan.records import CommittedFile, Plan, Progress, Success, load_progress, load_success
from job.results.run_listing import does_not_hold, list_run, no_such_run
from job.results.verify import Verified, verify
from job.stores.range_file import RangeFile
from job.stores.storage import open_folder
from job.terminal.spelling import did_you_mean
from tench.launcher.collect.download import unreadable
from tench.launcher.collect.in_order import in_order

if TYPE_CHECKING:
    import pandas as pd

    from tench.launcher.collect.collection import Collected

READERS = 4  # most of a file's time is a store's answer


class StoredRun:
    """One run's folder; `uri` is absolute. Nothing is kept but the plan: every call looks again."""

    def __init__(self, uri: str) -> None:
        self._folder = open_folder(uri)
        self._plan: Plan | None = None
        self.uri = self._folder.uri

    def __repr__(self) -> str:
        return f"StoredRun({self.uri!r})"

    @property
    def plan(self) -> Plan:
        """What the run is; while its source is being listed, `is_listed` is false and it grows.

        Raises NoSuchRun where the folder is no run's.
        """
        if self._plan is None or not self._plan.is_listed:
            self._plan = load_frozen(self._folder, RunPaths.of(self.uri))
        if self._plan is None:
            raise no_such_run(self._folder)
        return self._plan

    @property
    def success(self) -> Success | None:
        """What the run came to; None while it has not ended well."""
        return load_success(self._folder)

    def progress(self) -> Progress | None:
        """How far the driver was when it wrote that last; None before it did."""
        return load_progress(self._folder)

    def predictions(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows that are committed, in the manifest's order, with these columns or all.

        Raises RunFailed where the files are not those of `_SUCCESS`, UsageError for a column that is not there.
        """
        tables = list(self._tables(_names(columns)))
        if not tables:
            raise RunFailed(f"{self.uri} has no predictions yet")
        return pa.concat_tables(tables)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The same, a batch of at most a file's rows at a time, for runs that do not fit into memory."""
        for table in self._tables(_names(columns)):
            yield from table.to_batches()

    def to_pandas(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """The predictions as a DataFrame. Raises UsageError where pandas is not installed."""
        try:
            import pandas  # noqa: F401
        except ModuleNotFoundError as error:
            raise UsageError("to_pandas needs pandas, which is not installed: pip install pandas") from error
        return self.predictions(columns).to_pandas()

    def verify(self) -> Verified:
        """Checks every file and every row against the plan. Raises RunFailed, naming what does not hold."""
        return verify(self.uri)

    def collect(
        self,
        to: str | os.PathLike[str],
        *,
        format: Literal["parquet", "csv", "jsonl"] = "parquet",  # noqa: A002 - the command's own word
        merge: int | None = None,
        where: str | None = None,
        partial: bool = False,
    ) -> "Collected":
        """Downloads the predictions into a folder of this machine, checked, as `tench collect` does.

        Raises RunFailed where the run does not hold what it says, UsageError for a folder or form that cannot be.
        """
        from rich.console import Console

        from tench.launcher.collect.collection import collect
        from tench.launcher.collect.form import Form

        return collect(self.uri, os.fsdecode(to), Form(format, merge, where), partial, Console(stderr=True, quiet=True))

    def _tables(self, columns: list[str] | None) -> Iterator[pa.Table]:
        found = list_run(self._folder)
        if problems := found.problems():
            raise does_not_hold(self.uri, list(problems.values()))
        files, copied = [file for _, file in sorted(found.shards.items())], found.copied

        def read(file: CommittedFile) -> pa.Table:
            try:
                return self._read(file, columns, is_copy=file.file in copied)
            except (pa.ArrowInvalid, OSError) as error:
                raise unreadable(f"{self.uri}/{file.file}", error) from error

        return in_order(read, files, READERS)

    def _read(self, file: CommittedFile, columns: list[str] | None, is_copy: bool) -> pa.Table:
        source = self._copy(file) if is_copy else RangeFile(self._folder, file.file, file.bytes)
        parquet = pq.ParquetFile(source, pre_buffer=True)
        names: list[str] = parquet.schema_arrow.names
        for name in columns or ():
            if name not in names:
                hint = did_you_mean(name, names) or f"; there are {', '.join(names)}"
                raise UsageError(f"{self.uri}: no column {name!r}{hint}")
        table: Any = parquet.read(columns)
        return table.select(columns) if columns else table

    def _copy(self, file: CommittedFile) -> BytesIO:
        """Of a file that was copied, or changed, all bytes: its digest alone tells which."""
        data = self._folder.read(file.file)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise does_not_hold(self.uri, [f"{file.file} was changed: its bytes are not those that were committed"])
        return BytesIO(data)


def _names(columns: Sequence[str] | None) -> list[str] | None:
    """The columns of a call, once, whatever it gave: an iterator is empty after its first file."""
    if columns is None:
        return None
    names = [] if isinstance(columns, str) else list(columns)
    if not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f"columns is {columns!r}; give a list of names, or leave it out for all of them")
    return names
