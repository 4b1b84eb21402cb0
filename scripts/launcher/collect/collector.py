"""The collector: brings shards into a destination, as they are or made into another form on the way.

Downloads go on side by side and are taken in order; what is made of them is written meanwhile, by one thread.
"""

import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from job.plan.records import CommittedFile
from job.plan.where import Where
from job.stores.range_file import RangeFile
from job.stores.storage import Folder
from tench.launcher.collect.collect_progress import CollectProgress
from tench.launcher.collect.destination import HIDDEN, Destination, Whole
from tench.launcher.collect.download import download, unreadable
from tench.launcher.collect.form import Form
from tench.launcher.collect.in_order import in_order
from tench.launcher.collect.outputs import Maker, Output, plan_outputs

THREADS = 32  # most of a shard's time is a store's answer
SHARDS = f"{HIDDEN}/shards"  # what other files are made of, until those are whole


class Collector:
    """Collects the committed `files` of a run. Raises UsageError where the form does not suit their columns."""

    def __init__(self, folder: Folder, files: Sequence[CommittedFile], form: Form) -> None:
        self.downloaded_bytes = 0
        self._folder, self._files, self._form = folder, files, form
        self._outputs: list[Output] = []
        if files and not form.is_the_runs_own:
            self._outputs = plan_outputs(files, form.merge, form.format)
            self._schema = _read_schema(folder, files[0])
            self._where = None if form.where is None else Where(form.where, self._schema)

    def collect(self, destination: Destination, console: Console, keep_shards: bool) -> list[Whole]:
        """Every file that the destination is to hold, whole. `keep_shards` spares the next call their download."""
        if self._outputs:
            return self._make(destination, console, keep_shards)
        names = {file: file.file for file in self._files}
        progress = self._open_progress(destination, names, console, rows=0)
        with progress, closing(self._download(destination, names, progress)) as downloads:
            return list(downloads)

    def _make(self, destination: Destination, console: Console, keep_shards: bool) -> list[Whole]:
        there = {output.name: destination.find(output.name, output.origin) for output in self._outputs}
        pieces = [piece for output in self._outputs if not there[output.name] for piece in output.pieces]
        names = {piece.file: f"{SHARDS}/{os.path.basename(piece.file.file)}" for piece in pieces}
        progress = self._open_progress(destination, names, console, rows=sum(piece.rows for piece in pieces))
        maker = Maker(destination, self._schema, self._form.format, self._where)
        with progress, closing(self._download(destination, names, progress)) as downloads:
            opened: dict[CommittedFile, Path] = {}

            def open_shard(file: CommittedFile) -> Path:
                # Outputs take shards in the order of the downloads, and one twice where it is divided.
                if file not in opened:
                    opened[file] = destination.path / next(downloads).file
                return opened[file]

            made = [there[output.name] or maker.make(output, open_shard, progress.wrote) for output in self._outputs]
        if not keep_shards:
            shutil.rmtree(destination.path / SHARDS, ignore_errors=True)
        return made

    def _download(
        self, destination: Destination, names: Mapping[CommittedFile, str], progress: CollectProgress
    ) -> Generator[Whole, None, None]:
        """The files under their names, in order; one that is there is not read again."""

        def bring(item: tuple[CommittedFile, str]) -> Whole:
            file, name = item
            return destination.find(name, file.etag) or download(
                self._folder, file, destination, name, progress.downloaded
            )

        return in_order(bring, names.items(), min(THREADS, len(names)))

    def _open_progress(
        self, destination: Destination, names: Mapping[CommittedFile, str], console: Console, rows: int
    ) -> CollectProgress:
        total = sum(file.bytes for file in names)
        self.downloaded_bytes = sum(file.bytes for file, name in names.items() if not destination.find(name, file.etag))
        return CollectProgress(console, total, total - self.downloaded_bytes, rows)


def _read_schema(folder: Folder, file: CommittedFile) -> pa.Schema:
    """The columns, by range."""
    try:
        schema = pq.ParquetFile(RangeFile(folder, file.file, file.bytes)).schema_arrow
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(f"{folder.uri}/{file.file}", error) from error
    return schema.remove_metadata()
