"""A run, from the spec to `_SUCCESS`: plan, skip what is committed, infer, commit, evaluate, report.

The launcher and `python -m job` call `run`; nothing else orchestrates.
"""

import dataclasses
import datetime
import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from job.engines.engine import Engine, Work, choose
from job.errors import RunFailed
from job.models.load import load_recipe
from job.plan.freeze import freeze
from job.plan.paths import RunPaths
from job.plan.plan import Plan, check_unchanged, load_plan, run_paths
from job.plan.shards import Manifest, cut
from job.report.publish import Attempt, publish_report
from job.results.progress import Progress
from job.results.run_listing import committed_shards, read_success
from job.results.sink import Sink
from job.results.summary import Outcome
from job.sources.open_source import open_source
from job.spec.spec import JobSpec
from job.stages import timing
from job.stages.decode import DecodeStage
from job.stages.images import Limits
from job.stores.storage import open_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """How a run ended: its folder, what `_SUCCESS` says, and the accuracy in words."""

    paths: RunPaths
    success: dict[str, Any]
    lines: Sequence[str] = ()

    def summary(self) -> list[str]:
        """What a person wants to read of it, a line each."""
        rows, failed, seconds = (self.success[key] for key in ("rows", "failed", "seconds"))
        return [
            f"{rows:,} images, {failed:,} failed, in {seconds:,} s",
            *self.lines,
            f"report: {open_folder(self.paths.uri).uri}/{RunPaths.report}",
        ]


def run(spec: JobSpec, run_id: str | None, engine_name: str | None, console: Console) -> Result:
    """Runs, or resumes, until `_SUCCESS` is there. Raises TenchError."""
    started = time.monotonic()
    paths = run_paths(spec, run_id)
    folder = open_folder(paths.uri)
    plan = load_plan(folder)
    if plan:
        check_unchanged(plan, spec)
        if success := read_success(folder):
            log.info("run %s is complete since %s, nothing to do", paths.run_id, success["finished"])
            return Result(paths, success)
    engine = choose(engine_name, spec.compute)
    try:
        engine.start()
        # Both fail before anything is written; Ray starts meanwhile.
        recipe, slots = load_recipe(spec.model), engine.slots()
        plan = plan or freeze(spec, paths, folder, open_source(spec.source, spec.errors.max_bytes).list())
        outcome = Outcome(spec, plan, folder)
        manifest = Manifest(paths, plan.parts)
        decode = DecodeStage(
            manifest,
            spec.source,
            Limits(max_pixels=spec.errors.max_pixels, max_bytes=spec.errors.max_bytes),
            recipe,
            slots.threads_per_task,
            engine.block_images(spec.compute.batch_size),
        )
        attempt = infer(spec, plan, decode, outcome, engine, console)
    finally:
        engine.stop()
    problem = outcome.problem()
    success = None if problem else outcome.commit(time.monotonic() - started)
    publish_report(spec, manifest, outcome, attempt, problem)
    if not success:
        raise problem or RunFailed(f"{paths.uri}/{RunPaths.success} cannot be read")
    return Result(paths, success, outcome.evaluation.summary_lines())


def infer(
    spec: JobSpec, plan: Plan, decode: DecodeStage, outcome: Outcome, engine: Engine, console: Console
) -> Attempt:
    """Commits every shard that is not committed yet."""
    attempt = Attempt(engine.name, spec.compute.concurrency, datetime.datetime.now(datetime.UTC))
    committed = committed_shards(outcome.folder, decode.manifest.paths, plan)
    open_shards = [shard for shard in range(plan.shards) if shard not in committed]
    if committed:
        log.info("resuming run %s: %d of %d shards are committed", plan.run_id, len(committed), plan.shards)
        outcome.add_committed(committed)
    if not open_shards:
        return attempt
    slots = engine.slots()
    chunks = cut(plan, open_shards, spec.compute.batch_size, slots.decode_threads // slots.threads_per_task)
    work = Work(chunks, decode, spec.model, spec.compute)
    sink = Sink(outcome.folder, decode.manifest, plan, outcome.add)
    progress = Progress(outcome.folder, plan.images, outcome.rows, console, slots)
    with progress, closing(engine.run(work)) as tables:
        for table in tables:
            rows, figures = timing.detach(table)
            sink.add(rows)
            progress.add(rows, figures)
        sink.close()
    log.info("%s", progress.line())
    return dataclasses.replace(
        attempt,
        images_per_second=progress.images_per_second,
        bottleneck=progress.bottleneck(),
        device=progress.device,
        precision=progress.precision,
    )
