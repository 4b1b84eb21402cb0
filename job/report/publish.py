"""Publishing: the report page, with the pictures it picked read once more from the source."""

import datetime
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa

from job.errors import ImageError, StoreError, TenchError
from job.plan.paths import RunPaths
from job.plan.plan import versions
from job.plan.shards import Manifest
from job.report.report import RunFigures, thumbnail
from job.report.sampled_rows import Pick
from job.results.summary import Outcome
from job.sources.open_source import open_source
from job.spec.spec import JobSpec
from job.stages.decode import READ_COLUMNS
from job.stages.images import Limits, decode

log = logging.getLogger(__name__)

THREADS = 8  # most of a picture's time is a store's answer


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


def publish_report(
    spec: JobSpec, manifest: Manifest, outcome: Outcome, attempt: Attempt, problem: TenchError | None
) -> None:
    """Writes `report.html`. A store that refuses it is logged: the rows are committed, and the run has ended."""
    finished = datetime.datetime.now(datetime.UTC)
    figures = RunFigures(
        run_id=manifest.paths.run_id,
        name=spec.name,
        model=spec.model.name,
        source=spec.source.uri,
        output=manifest.paths.uri,
        images=outcome.rows,
        failed=outcome.failed,
        failed_by_kind=outcome.failed_by_kind,
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
        metrics=outcome.evaluation.metrics(),
        problem=None if problem is None else str(problem),
        spec=json.dumps(spec.model_dump(mode="json"), indent=1, ensure_ascii=False),
    )
    page = outcome.report.render(figures, thumbnails(spec, manifest, outcome.report.picks()))
    try:
        outcome.folder.put(RunPaths.report, page.encode())
    except StoreError as error:
        log.warning("the report is not written: %s", error)


def thumbnails(spec: JobSpec, manifest: Manifest, picks: Sequence[Pick]) -> dict[tuple[int, int], bytes]:
    """A picture for each pick that can still be read."""
    limits = Limits(max_pixels=spec.errors.max_pixels, max_bytes=spec.errors.max_bytes)
    with ThreadPoolExecutor(THREADS, "thumbnail") as pool:
        drawn = pool.map(lambda found: _draw(found[0], found[1], limits), _handles(spec, manifest, picks))
        return {pick.key: picture for pick, picture in zip(picks, drawn, strict=True) if picture}


def _handles(spec: JobSpec, manifest: Manifest, picks: Sequence[Pick]) -> Iterator[tuple[Pick, Callable[[], bytes]]]:
    source = open_source(spec.source, spec.errors.max_bytes)
    for shard, group in groupby(picks, key=lambda pick: pick.shard):
        in_shard = list(group)
        rows = manifest.rows(shard, READ_COLUMNS).take(pa.array([pick.row for pick in in_shard]))
        yield from zip(in_shard, source.read(rows), strict=True)


def _draw(pick: Pick, handle: Callable[[], bytes], limits: Limits) -> bytes | None:
    try:
        return thumbnail(decode(handle(), limits))
    except ImageError as error:
        log.info("no picture of %s in the report: %s", pick.uri, error)
        return None
