"""A run, from the spec to `_SUCCESS`: plan, skip what is committed, infer, commit, evaluate, report.

The launcher, `python -m job` and `tench.run` call `run`; nothing else orchestrates.
"""

import dataclasses
import datetime
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache

import pyarrow as pa
from rich.console import Console

from job.engines.engine import Engine, Work, choose_engine, default_engine
from job.engines.local import local_devices
from job.errors import OutputError, StoreError, TenchError
from job.models.class_names import names_by_id
from job.models.identity import identify
from job.models.load import read_recipe
from job.models.resolve import ResolvedModel, resolve
from job.plan.chunks import ChunkList, cut
from job.plan.freeze import Freezer
from job.plan.growing import GrowingChunks, GrowingPlan
from job.plan.manifest import Manifest
from job.plan.parts import load_chain
from job.plan.paths import RunPaths
from job.plan.plan import check_finished_files, check_model, check_source, check_unchanged, versions
from job.plan.records import FrozenModel, LeftOut, Metrics, Origin, Plan, Success, load_success
from job.recipe import Recipe
from job.report.publish import Attempt, publish_report
from job.report.report import Report
from job.results.left_out_text import left_out_sentence
from job.results.metrics_text import metrics_lines
from job.results.output_folder import check_output, open_output
from job.results.progress import ProgressReporter
from job.results.run_listing import committed_shards
from job.results.run_summary import RunSummary
from job.results.sink import Sink
from job.settings import IMAGE
from job.sources.label_digest import labels_digest
from job.sources.open_source import open_source, source_identity
from job.spec.limits import Limits
from job.spec.spec import ComputeSpec, JobSpec
from job.stages import timing
from job.stages.decode import DecodeStage
from job.stages.machine import cores
from job.stores.storage import Folder

log = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class Result:
    """A complete run: its folder, and what `_SUCCESS` says."""

    paths: RunPaths
    success: Success

    @property
    def uri(self) -> str:
        return self.paths.uri

    @property
    def rows(self) -> int:
        return self.success.rows

    @property
    def failed(self) -> int:
        """Images that have an error instead of a prediction."""
        return self.success.failed

    @property
    def metrics(self) -> Metrics | None:
        return self.success.metrics

    @property
    def report(self) -> str:
        """The URI of the page."""
        return f"{self.uri}/{RunPaths.report}"

    def __repr__(self) -> str:
        return f"Result(uri={self.uri!r}, rows={self.rows:,}, failed={self.failed:,})"

    def summary(self) -> list[str]:
        """What a person wants to read of it, a line each."""
        counts = f"{self.rows:,} images, {self.failed:,} failed, in {self.success.seconds:,} s"
        left_out = left_out_sentence(self.success.left_out)
        lines = [f"left out of the source: {left_out}"] if left_out else []
        return [counts, *lines, *metrics_lines(self.metrics), f"report: {self.report}"]


def check_devices(compute: ComputeSpec) -> None:
    """Raises PreflightError for GPUs that `run` would not find on this machine. A Ray cluster is not asked."""
    if default_engine() == "local":
        local_devices(compute)


def run(
    spec: JobSpec,
    run_id: str | None,
    engine_name: str | None,
    console: Console,
    accept_changed_model: bool = False,
) -> Result:
    """Runs, or resumes, until `_SUCCESS` is there. Raises TenchError.

    ModelChanged is among them where the model is another than an earlier attempt's, unless that is accepted.
    """
    started = time.monotonic()
    pa.set_cpu_count(cores())  # by itself Arrow starts a thread for every core that it sees
    paths, folder, plan = open_output(spec, run_id)
    if plan:
        check_unchanged(plan, spec)
        check_source(plan, source_identity(spec.source))
        if success := load_success(folder):
            if not accept_changed_model:
                check_complete(plan, spec)
            log.info("run %s is complete since %s, nothing to do", paths.run_id, success.finished)
            return Result(RunPaths.of(folder.uri), success)
    check_output(folder)
    limits = Limits.of(spec.errors)
    with choose_engine(engine_name, spec.compute) as engine:
        # Both fail before anything is written; Ray starts meanwhile.
        recipe, chosen = choose_model(spec, plan, engine, accept_changed_model)
        slots = engine.slots
        growing = begin_plan(spec, paths, folder, plan, lambda: chosen().frozen)
        plan = growing.so_far
        origin = origin_of_attempt(plan, chosen(), accept_changed_model)
        manifest = growing.manifest(paths)
        report = Report(spec.model.task, spec.report.samples, plan.run_id)
        summary = RunSummary(spec, plan, folder, report.add, origin)
        block_images = engine.block_images(spec.compute.batch_size)
        threads, as_pillow = slots.threads_per_task, plan.reads_as_pillow
        share = 1 / slots.tasks_per_machine
        decode = DecodeStage(manifest, spec.source, limits, recipe, threads, block_images, as_pillow, share)
        with growing:
            attempt = infer(spec, growing, decode, chosen(), summary, engine, console)
            summary.plan = growing.whole()
    return finish(spec, manifest, summary, report, attempt, time.monotonic() - started)


def check_complete(plan: Plan, spec: JobSpec) -> None:
    """Raises ModelChanged where the files of a complete run's model are others by now."""
    try:
        files = identify(spec.model)
    except TenchError as error:
        log.debug("the model of run %s cannot be looked at: %s", plan.run_id, error)
        return
    check_finished_files(plan, files)


def choose_model(
    spec: JobSpec, plan: Plan | None, engine: Engine, accept_changed: bool
) -> tuple[Recipe, Callable[[], ResolvedModel]]:
    """How images are prepared, at once, and the model with all that is chosen for it, which may wait for a replica.

    Of a run that is resumed it is what the plan has frozen.
    """
    planned = plan.model if plan and not accept_changed else None
    model = resolve(spec.model, planned)
    recipe = read_recipe(model.spec)
    precision = engine.choose_precision(spec.model) if planned is None else lambda: planned.precision
    if engine.spans_nodes:
        model = model.stage_below(spec.output.uri)
    return recipe, cache(lambda: model.chosen(recipe, precision()))


def origin_of_attempt(plan: Plan, model: ResolvedModel, accept_changed: bool) -> Origin:
    """What the files of this attempt are made with. Raises ModelChanged."""
    accepted = check_model(plan, model.frozen, accept_changed)
    frozen = model.frozen if accepted or plan.model is None else plan.model
    return Origin(model=frozen.digest, accepted=accepted, versions=versions(), image=IMAGE.value())


def begin_plan(
    spec: JobSpec, paths: RunPaths, folder: Folder, plan: Plan | None, model: Callable[[], FrozenModel]
) -> GrowingPlan:
    """`plan`, where it is whole, or one that grows: of a large source the first part is frozen, and more will follow.

    Raises OutputError where nothing can be written: nothing was started then.
    """
    if plan and plan.is_listed:
        return GrowingPlan(plan)
    chain = load_chain(folder, paths) if plan else None
    source, identity = open_source(spec.source, Limits.of(spec.errors)), source_identity(spec.source)

    def left_out() -> Sequence[LeftOut]:
        if found := source.left_out:
            log.warning("left out of the source: %s", left_out_sentence(found))
        return found

    listing, labels = source.list(names_by_id(spec.model)), labels_digest(spec.source)
    freezer = Freezer(spec, paths, folder, listing, model, left_out, identity, source.ascends, chain, labels)
    try:
        frozen = Manifest(paths, chain.parts if chain else ())
        for shard in range(freezer.so_far().shards) if chain and not freezer.is_done else ():
            if not source.tells_at_its_end:
                break
            source.know_labels(frozen.rows(shard, ["expected"]))
        # That no image has one of the labels that are asked for is known at the end; that one has, with the first.
        while not freezer.is_done and (freezer.chain is None or source.tells_at_its_end):
            freezer.freeze_part()
        return GrowingPlan(freezer.close()) if freezer.is_done else GrowingPlan(freezer.so_far(), freezer)
    except StoreError as error:
        raise OutputError(f"output.uri: {error}") from error


def infer(
    spec: JobSpec,
    growing: GrowingPlan,
    decode: DecodeStage,
    model: ResolvedModel,
    summary: RunSummary,
    engine: Engine,
    console: Console,
) -> Attempt:
    """Commits every shard that is not committed yet."""
    attempt = Attempt(engine.name, spec.compute.concurrency, datetime.datetime.now(datetime.UTC))
    folder, manifest, plan = summary.folder, decode.manifest, summary.plan
    committed = committed_shards(folder, manifest.paths, plan)
    open_shards = [shard for shard in range(plan.shards) if shard not in committed]
    if committed:
        so_far = "" if plan.is_listed else " that were listed"
        log.info("resuming run %s: %d of %d shards%s are committed", plan.run_id, len(committed), plan.shards, so_far)
        summary.add_committed(committed)
    if not open_shards and plan.is_listed:
        return attempt
    chunks: ChunkList
    if plan.is_listed:
        chunks = cut(plan, open_shards, spec.compute.batch_size, engine.slots.decode_tasks)
    else:
        log.info("%s images are listed; the run begins, and lists the others meanwhile", f"{plan.images:,}")
        chunks = GrowingChunks(growing, frozenset(committed), spec.compute.batch_size)
    sink = Sink(folder, manifest, plan, summary.add, summary.origin, growing.shard_rows)
    progress = ProgressReporter(folder, plan.images, summary.rows, console, engine.slots, lambda: growing.so_far)
    with progress, closing(engine.run(Work(chunks, decode, model, spec.compute))) as tables:
        for table in tables:
            rows, figures = timing.detach(table)
            summary.evaluation.know(timing.labels_of(figures))
            sink.add(rows, figures)
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


def finish(
    spec: JobSpec, manifest: Manifest, summary: RunSummary, report: Report, attempt: Attempt, seconds: float
) -> Result:
    """Commits the run and writes its page. Raises RunFailed where too many images failed; the page is written first."""
    problem = summary.problem()
    if problem:
        publish_report(report, spec, manifest, summary, attempt)
        raise problem
    success = summary.commit(seconds)
    publish_report(report, spec, manifest, summary, attempt)
    return Result(RunPaths.of(summary.folder.uri), success)
