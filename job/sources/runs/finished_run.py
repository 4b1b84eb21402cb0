"""An earlier run as a source: the images it read, chosen by what it found of them.

Its manifest says where each image lies and its predictions what was found, row by row alike, so that one image is
taken once, and read as its own source reads it. With `crops` a row is a box, and not an image.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.errors import SourceError, UsageError
from job.plan.manifest import Manifest
from job.plan.paths import RunPaths
from job.plan.records import CommittedFile, Plan, Success, load_plan, load_success
from job.plan.where import Where
from job.sources.left_out import LeftOutCounts
from job.sources.runs.box_rows import NO_PIXEL, crop_boxes, has_pixels, pieces, to_box_rows, without_fragments
from job.sources.source import Handle, Source
from job.spec.columns import CROP, LISTED, OF_ONE_BOX, OFFSET
from job.spec.limits import Limits
from job.spec.source_spec import kept_as
from job.spec.spec import JobSpec, RunSource, SourceSpec
from job.stores.folder import same_etag
from job.stores.range_file import RangeFile
from job.stores.storage import ROWS_PER_TABLE, Folder, open_folder

NOT_CHOSEN = "rows of the earlier run that source.where does not keep"
BOX_NOT_CHOSEN = "boxes of the earlier run that source.where does not keep"


def run_identity(uri: str) -> str | None:
    """What tells a complete run from another in its place: hex, 16 digits; None where there is no complete run."""
    folder = open_folder(uri)
    plan, success = load_plan(folder), load_success(folder)
    if plan is None or success is None:
        return None
    files = [(file.file, file.rows, file.sha256 or file.etag) for file in success.files]
    return hashlib.sha256(repr((plan.fingerprint, plan.created, files)).encode()).hexdigest()[:16]


class RunReader:
    """One row for each row of the run's predictions that is chosen, or for each box of them, in their order."""

    def __init__(self, spec: RunSource, limits: Limits, open_source: Callable[[SourceSpec, Limits], Source]) -> None:
        """`open_source` opens the run's own source, to read its images."""
        self._spec = spec
        self._limits = limits
        self._open_source = open_source

    def rows(self, left_out: LeftOutCounts) -> Iterator[pa.Table]:
        plan, success = self._plan, self._check_complete()
        manifest = Manifest(RunPaths.of(self._folder.uri), plan.parts)
        where: Where | None = None
        rows = 0
        files = {manifest.paths.shard_of(file.file): file for file in success.files}
        for shard in range(plan.shards):
            file = files[shard]
            predictions = _read(self._folder, file)
            listed = manifest.rows(shard)
            if shard == 0:
                schema = self._schema(predictions)
                self._check_columns(schema, listed.column_names)
                where = self._where(schema)
            if listed.num_rows != predictions.num_rows:
                raise SourceError(f"source.uri: {file.file} of {self._folder.uri} has not the rows of its manifest")
            chosen = self._boxes if self._spec.crops else self._images
            for table in chosen(listed, predictions, where, left_out):
                rows += table.num_rows
                for start in range(0, table.num_rows, ROWS_PER_TABLE):
                    yield table.slice(start, ROWS_PER_TABLE)
        if not rows:
            chosen_by = f" of which {self._spec.where!r} is true (source.where)" if self._spec.where else ""
            things = "boxes" if self._spec.crops else "rows"
            raise SourceError(f"source.uri: the run {self._folder.uri} has no {things}{chosen_by}")

    def read(self, rows: pa.Table) -> Iterator[Handle]:
        """Of crops the bytes of the images that they are cut from."""
        plain = without_fragments(rows)
        return self._source.read(plain.drop_columns([name for name in CROP if name in plain.column_names]))

    def _images(
        self, listed: pa.Table, predictions: pa.Table, where: Where | None, left_out: LeftOutCounts
    ) -> Iterator[pa.Table]:
        table = self._to_rows(listed, predictions)
        if where is not None:
            table = table.filter(self._mask(where, predictions))
            left_out.add(NOT_CHOSEN, listed.num_rows - table.num_rows)
        yield table

    def _boxes(
        self, listed: pa.Table, predictions: pa.Table, where: Where | None, left_out: LeftOutCounts
    ) -> Iterator[pa.Table]:
        for listed_piece, piece in pieces(listed, predictions, left_out):
            of_image, boxes = to_box_rows(piece.select(self._needed(piece.column_names)))
            of_box = listed_piece.take(of_image)
            if where is not None:
                chosen = self._mask(where, boxes)
                of_box, boxes = of_box.filter(chosen), boxes.filter(chosen)
                left_out.add(BOX_NOT_CHOSEN, len(chosen) - boxes.num_rows)
            table = self._to_rows(crop_boxes(of_box, boxes), boxes)
            seen = has_pixels(table)
            empty = table.filter(pc.invert(seen))
            if empty.num_rows:
                left_out.add(NO_PIXEL, empty.num_rows, empty["uri"][0].as_py())
            yield table.filter(seen)

    def _needed(self, columns: Sequence[str]) -> Sequence[str]:
        """Those of the predictions that a box needs beside it: a large one that is not is not copied for each."""
        own = {*OF_ONE_BOX, "width", "height", "image_notes", self._spec.label_from, *self._spec.keep}
        words = (self._spec.where or "").replace('""', '"').lower()
        return [name for name in columns if name in own or "*" in words or name.lower() in words]

    @cached_property
    def _folder(self) -> Folder:
        return open_folder(self._spec.uri)

    @cached_property
    def _plan(self) -> Plan:
        plan = load_plan(self._folder)
        if plan is None:
            raise SourceError(f"source.uri: {self._folder.uri} is no run's folder: it has no {RunPaths.plan}")
        return plan

    @cached_property
    def _source(self) -> Source:
        return self._open_source(JobSpec.model_validate(self._plan.spec).source, self._limits)

    def _check_complete(self) -> Success:
        success = load_success(self._folder)
        if success is None:
            way_out = "finish it by the same `tench run` or `tench submit` that began it"
            raise SourceError(f"source.uri: the run {self._folder.uri} is not complete; {way_out}")
        return success

    def _where(self, schema: pa.Schema) -> Where | None:
        try:
            return None if self._spec.where is None else Where(self._spec.where, schema, "source.where")
        except UsageError as error:
            raise SourceError(str(error)) from error

    def _mask(self, where: Where, predictions: pa.Table) -> pa.ChunkedArray:
        try:
            return pc.fill_null(where.mask(predictions), False)
        except UsageError as error:
            raise SourceError(str(error)) from error

    def _schema(self, predictions: pa.Table) -> pa.Schema:
        """Of the table that `where`, `keep` and `label_from` speak of. Raises SourceError where it has no boxes."""
        if not self._spec.crops:
            return predictions.schema
        if "boxes" not in predictions.column_names:
            task = JobSpec.model_validate(self._plan.spec).model.task
            raise SourceError(
                f"source.crops: the run {self._folder.uri} has no boxes, its task is {task}; leave crops out, or "
                "name a run of task detect"
            )
        return to_box_rows(predictions.slice(0, 0))[1].schema

    def _check_columns(self, schema: pa.Schema, manifest: Sequence[str]) -> None:
        if CROP[0] in manifest and self._spec.orientation != "auto":
            raise SourceError(
                "source.orientation: leave it out: the images of this run are crops, which are cut the way up that "
                "their boxes were found"
            )
        label = [] if self._spec.label_from == "none" else [("label_from", self._spec.label_from)]
        for asked, name in [*label, *(("keep", name) for name in self._spec.keep)]:
            if name not in schema.names:
                columns = ", ".join(schema.names)
                raise SourceError(f"source.{asked}: the run has no column {name!r}; its columns are {columns}")
        if label and pa.types.is_nested(schema.field(self._spec.label_from).type):
            raise SourceError(
                f"source.label_from: {self._spec.label_from!r} holds lists; a label is a text or a number"
            )

    def _to_rows(self, listed: pa.Table, predictions: pa.Table) -> pa.Table:
        names = [name for name in (*LISTED, OFFSET, *CROP) if name in listed.column_names]
        table = listed.select(names)
        if self._spec.label_from == "none":
            labels = pa.chunked_array([pa.nulls(listed.num_rows, pa.string())])
        else:
            labels = predictions[self._spec.label_from].cast(pa.string())
        table = table.set_column(names.index("expected"), "expected", labels)
        for name in self._spec.keep:
            table = table.append_column(kept_as(name, self._spec.crops), predictions[name])
        return table


def _read(folder: Folder, file: CommittedFile) -> pa.Table:
    """The predictions of one shard. Raises SourceError where they are not those that the run committed."""
    entry = folder.head(file.file)
    if entry is None:
        raise SourceError(f"source.uri: {folder.uri} has no {file.file}; `tench verify` the run")
    # A copied run has new etags and the same bytes.
    if not same_etag(entry.etag, file.etag) and hashlib.sha256(folder.read(file.file)).hexdigest() != file.sha256:
        raise SourceError(f"source.uri: {folder.uri}/{file.file} is not what the run committed; `tench verify` the run")
    try:
        return pq.read_table(RangeFile(folder, file.file, entry.size, entry.etag), pre_buffer=True)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"source.uri: {folder.uri}/{file.file} cannot be read: {error}") from error
