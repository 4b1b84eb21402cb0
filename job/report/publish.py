"""Publishing: the report page, with the pictures it picked read once more from the source."""

import datetime
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby

import pyarrow as pa

from job.errors import ImageError, TenchError
from job.plan.manifest import Manifest
from job.plan.paths import RunPaths
from job.plan.plan import versions
from job.plan.records import Metrics
from job.recipe import Orientation
from job.report.gallery import THUMBNAIL_EDGE, thumbnail
from job.report.page import RunFigures
from job.report.report import Report
from job.report.sampled_rows import SampledRow
from job.results.run_summary import RunSummary
from job.sources.open_source import open_source
from job.spec.columns import CROP, ORIENTATION_APPLIED, ORIENTATION_KEPT, READ
from job.spec.limits import Limits
from job.spec.spec import JobSpec
from job.stages.images import Reading, read_image
from job.stages.pictures import Xywh, cut
from job.stages.pixel_budget import process_budget

log = logging.getLogger(__name__)

THREADS = 8  # most of a picture's time is a store's answer; how many are open at once, the budget says
ENOUGH = 2 * THUMBNAIL_EDGE  # pixels to make a good thumbnail of


@dataclass(frozen=True)
class Attempt:
    """Figures of this attempt; one that found every shard committed has no rate and no device."""

    engine: str
    replicas: int
    started: datetime.datetime
    images_per_second: float = 0.0
    bottleneck: str | None = None
    device: str = "none"
    precision: str = "none"


def publish_report(report: Report, spec: JobSpec, manifest: Manifest, summary: RunSummary, attempt: Attempt) -> None:
    """Writes `report.html`. What a store refuses for it is logged: the rows are committed, and the run has ended."""
    finished, problem = datetime.datetime.now(datetime.UTC), summary.problem()
    figures = RunFigures(
        run_id=manifest.paths.run_id,
        name=spec.name,
        model=spec.model.name,
        source=spec.source.uri,
        output=manifest.paths.uri,
        images=summary.rows,
        failed=summary.failed,
        failed_by_kind=summary.failed_by_kind,
        seconds=(finished - attempt.started).total_seconds(),
        images_per_second=attempt.images_per_second,
        bottleneck=attempt.bottleneck,
        started=attempt.started,
        finished=finished,
        engine=attempt.engine,
        replicas=attempt.replicas,
        device=attempt.device,
        precision=attempt.precision,
        versions=versions(),
        metrics=summary.evaluation.metrics() or Metrics(rows=0, failed_by_kind={}),
        problem=None if problem is None else str(problem),
        spec=json.dumps(spec.model_dump(mode="json"), indent=1, ensure_ascii=False),
        left_out=summary.plan.left_out,
    )
    try:
        page = report.render(figures, thumbnails(spec, manifest, report.sampled()))
        summary.folder.put(RunPaths.report, page.encode())
    except (TenchError, FileNotFoundError) as error:
        log.warning("the report is not written: %s", error)


def thumbnails(spec: JobSpec, manifest: Manifest, sampled: Sequence[SampledRow]) -> dict[tuple[int, int], bytes]:
    """A picture for each sample that can still be read."""
    limits, scales_depth = Limits.of(spec.errors), spec.source.depth == "scale"
    with ThreadPoolExecutor(THREADS, "thumbnail") as pool:
        reading = Reading(limits, scales_depth=scales_depth, enough=ENOUGH)
        drawn = pool.map(lambda found: _draw(reading, *found), _handles(spec, manifest, sampled))
        return {sample.key: picture for sample, picture in zip(sampled, drawn, strict=True) if picture}


def _handles(
    spec: JobSpec, manifest: Manifest, sampled: Sequence[SampledRow]
) -> Iterator[tuple[SampledRow, Xywh | None, Callable[[], bytes]]]:
    """Each sample with its crop, where it is one, and its image."""
    source = open_source(spec.source, Limits.of(spec.errors))
    for shard, group in groupby(sampled, key=lambda sample: sample.shard):
        in_shard = list(group)
        rows = manifest.rows(shard, READ).take(pa.array([sample.row for sample in in_shard]))
        crops = rows[CROP[0]].to_pylist() if CROP[0] in rows.column_names else [None] * len(in_shard)
        yield from zip(in_shard, crops, source.read(rows), strict=True)


def _orientation(sample: SampledRow) -> Orientation:
    """As it was when its boxes were found, whatever the spec and the model say."""
    if ORIENTATION_APPLIED in sample.notes:
        return "apply"
    return "keep" if ORIENTATION_KEPT in sample.notes else "Pillow"


def _draw(reading: Reading, sample: SampledRow, crop: Xywh | None, handle: Callable[[], bytes]) -> bytes | None:
    wanted = reading.turned(_orientation(sample))
    try:
        data = handle()
        with process_budget().hold() as hold:
            if crop is None:
                return thumbnail(read_image(data, wanted, hold.reserve).pixels)
            # A crop counts pixels of the whole image.
            return thumbnail(cut(read_image(data, replace(wanted, enough=None), hold.reserve).pixels, crop))
    except ImageError as error:
        log.info("no picture of %s in the report: %s", sample.uri, error)
        return None
