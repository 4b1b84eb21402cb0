"""The preview: what a run would do, from the listing alone. `tench plan` shows it; nothing is written or started."""

import logging
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from job.errors import ModelError, StoreError
from job.models.class_names import names_by_id
from job.plan.freeze import add_sizes
from job.plan.plan import check_unchanged
from job.plan.records import LeftOut, Plan, load_success
from job.results.output_folder import open_output
from job.results.run_listing import committed_shards
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import JobSpec, ModelSpec

log = logging.getLogger(__name__)

SAMPLE_URIS = 5
LISTING_S = 8.0  # of a source that takes longer, what was listed by then is shown
MAX_CLASSES = 10_000


class Preview(BaseModel):
    """As `tench plan -o json` prints it. `bytes` is null where the source does not tell sizes."""

    run_id: str
    run_uri: str
    images: int
    bytes: int | None
    shards: int
    sample_uris: list[str]
    classes: dict[str, int]
    label_from: str = "none"
    """Where the spec has labels from."""
    without_label: int
    """Images that have none, whether or not labels are asked for."""
    replicas: int
    gpus_per_replica: float | str
    cpus: int
    state: str
    frozen_images: int | None
    skipped_shards: int
    skipped_images: int
    recipe: str | None  # null where the model was not looked at
    left_out: list[LeftOut] = []
    """What the source holds beside the images, the most first."""
    is_sample: bool = False
    """Whether the source is larger: images, bytes, shards, classes and what is left out are those of its first part."""
    problems: list[str] = []
    """What a run on this machine would refuse, a sentence each."""


def preview(spec: JobSpec, run_id: str | None, with_model: bool = False) -> Preview:
    """Lists the source, a large one in part; `with_model` reads how the model's images are prepared: some seconds.

    Raises SourceError, ModelError, and PlanChanged where the run id belongs to another plan.
    """
    paths, folder, plan = open_output(spec, run_id)
    committed = {}
    if plan:
        check_unchanged(plan, spec)
        committed = committed_shards(folder, paths, plan)
    recipe = _recipe(spec.model) if with_model else None
    names = names_by_id(spec.model) if with_model else _names(spec.model)
    source = open_source(spec.source, Limits.of(spec.errors))
    listing = Listing(source.list(names), LISTING_S)
    return Preview(
        run_id=paths.run_id,
        run_uri=folder.uri,
        images=listing.images,
        bytes=listing.bytes,
        shards=-(-listing.images // spec.output.rows_per_file),
        sample_uris=listing.sample_uris,
        classes=dict(sorted(listing.classes.items())),
        label_from=spec.source.label_from,
        without_label=listing.without_label,
        replicas=spec.compute.concurrency,
        gpus_per_replica=spec.compute.gpus_per_replica,
        cpus=spec.compute.concurrency * spec.compute.cpus_per_replica,
        state=_state(plan, complete=load_success(folder) is not None),
        frozen_images=plan.images if plan else None,
        skipped_shards=len(committed),
        skipped_images=sum(file.rows for file in committed.values()),
        recipe=recipe,
        left_out=list(source.left_out),
        is_sample=listing.is_sample,
    )


def _names(spec: ModelSpec) -> Mapping[str, str]:
    """Nothing where they cannot be read: that is said elsewhere, and the source is listed all the same."""
    try:
        return names_by_id(spec)
    except (ModelError, StoreError):
        return {}


def _recipe(spec: ModelSpec) -> str | None:
    """None where what models need is not installed: the launcher does without."""
    from job.models.load import describe_recipe

    try:
        return describe_recipe(spec)
    except ModuleNotFoundError as error:
        log.warning("the model was not looked at: %s is not installed here", error.name)
        return None


def _state(plan: Plan | None, complete: bool) -> str:
    if complete:
        return "complete"
    return "started" if plan else "new"


class Listing:
    """Totals of a listing, or of what comes of it in so many seconds, in memory bounded by the number of classes."""

    def __init__(self, tables: Iterator[pa.Table], seconds: float = math.inf) -> None:
        self.is_sample = False
        self.images = 0
        self.bytes: int | None = 0
        self.classes: Counter[str] = Counter()
        self.without_label = 0
        self._sample: list[str] = []
        self._stride = 1
        ends = time.monotonic() + seconds
        for table in tables:
            self._add(table)
            if time.monotonic() > ends:
                self.is_sample = next((True for more in tables if more.num_rows), False)
                break

    @property
    def sample_uris(self) -> list[str]:
        """At most `SAMPLE_URIS`, spread over the listing."""
        count = min(SAMPLE_URIS, len(self._sample))
        return [self._sample[place * len(self._sample) // count] for place in range(count)]

    def _add(self, table: pa.Table) -> None:
        self._add_to_sample(table["uri"])
        self.images += table.num_rows
        self.bytes = add_sizes(self.bytes, table)
        self.without_label += table["expected"].null_count
        for each in pc.value_counts(table["expected"].drop_null()).to_pylist():
            if each["values"] in self.classes or len(self.classes) < MAX_CLASSES:
                self.classes[each["values"]] += each["counts"]

    def _add_to_sample(self, uris: pa.ChunkedArray) -> None:
        """Every `stride`-th URI of the whole listing; the stride doubles when there are too many."""
        first = -self.images % self._stride
        self._sample += [uris[index].as_py() for index in range(first, len(uris), self._stride)]
        while len(self._sample) >= 2 * SAMPLE_URIS:
            self._sample = self._sample[::2]
            self._stride *= 2
