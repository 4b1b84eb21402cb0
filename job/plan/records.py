"""The JSON objects of a run's folder: `plan.json`, `progress.json`, `_SUCCESS` and the metrics in it.

Job and launcher write and read them through these models alone. Unknown keys are ignored and newer keys have defaults:
every version reads what another one has left.
"""

import hashlib
import json
from typing import Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from job.errors import RunFailed
from job.plan.paths import RunPaths
from job.stores.storage import Folder

R = TypeVar("R", bound="Record")


class UnreadableRecord(RunFailed):
    """An object of the folder is there and is not what Tench writes: another program's, or cut short."""


class Record(BaseModel):
    """One JSON object."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_bytes(self) -> bytes:
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def load(cls, folder: Folder, key: str) -> Self | None:
        """The record at a key; None where there is none. Raises UnreadableRecord, StoreError."""
        try:
            return cls.model_validate_json(folder.read(key))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            wrong = f"{'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}"
            fix = "restore it, or start under another --run-id"
            raise UnreadableRecord(f"{folder.uri}/{key} is not Tench's: {wrong}; {fix}") from error


class FrozenModel(Record):
    """What the answer hangs on beside the spec and the packages: the very files, and what was chosen for the spec."""

    files: dict[str, str] = {}  # by name: sha256 of a local file, etag and size of an object, a package's version
    revision: str | None = None  # the hub's commit
    bases: dict[str, str] = {}  # the commit of a base model of the hub's that an adapter names
    recipe: dict[str, str] = {}  # how images are prepared, what is not as by default
    precision: str | None = None  # None where the model chooses its own

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()[:16]


class Origin(Record):
    """What a predictions file was made with; stands in its Parquet metadata, and grouped in `_SUCCESS`."""

    model: str | None = None  # the digest of a FrozenModel; the plan's, but where another was accepted
    accepted: bool = False  # it is not the plan's, by --accept-changed-model
    devices: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    image: str | None = None  # of the container


class OriginGroup(Origin):
    """Files of one origin."""

    files: int
    rows: int


class Part(Record):
    """One manifest object: a row group for each of its shards."""

    first_shard: int
    shards: int
    rows: int
    etag: str
    sha256: str
    file: str | None = None  # None in what older versions wrote: it is `RunPaths.manifest_of_layout_1`


class LeftOut(Record):
    """Things of one kind that a source holds and a plan leaves out; `kind` is a plural."""

    kind: str
    count: int
    example: str | None = None  # the URI or key of the first


LAYOUT = 2  # of the folders of runs that are planned now


class Plan(Record):
    """`plan.json`: what a run is, frozen, so that every later attempt means the same images.

    Where `is_listed` is false, which `plan.json` never says, the source is being listed: images, bytes, shards and
    parts are those that are frozen so far, and nothing of that will change.
    """

    run_id: str
    fingerprint: str
    spec: dict[str, Any]
    images: int
    bytes: int | None  # None where the source does not tell sizes
    shards: int
    rows_per_file: int
    parts: tuple[Part, ...]
    versions: dict[str, str]
    created: str  # ISO 8601
    model: FrozenModel | None = None  # None in what older versions wrote
    image: str | None = None
    left_out: tuple[LeftOut, ...] = ()  # what the source holds beside the images, the most first
    source_identity: str | None = None  # which run it takes its images from, where it does
    layout: int = 1  # 2: detections have `label_indices`, and boxes of exactly four numbers
    is_listed: bool = True

    @property
    def reads_as_pillow(self) -> bool:
        """Whether an older version planned it: it read images as Pillow opens them, and the run goes on so.

        Its predictions have no column `image_notes`, and all files of a run have the same columns.
        """
        return "orientation" not in self.spec.get("source", {})

    def shard_rows(self, shard: int) -> int:
        return min(self.rows_per_file, self.images - shard * self.rows_per_file)


class PartHead(Record):
    """What a part of the manifest says of itself, in its Parquet metadata: it is one link of a chain.

    A run of many parts begins before `plan.json` closes the chain, so each part is written once and never replaced, and
    names the one before it. Those of older versions have no head: they were nothing before there was a `plan.json`.
    """

    number: int
    previous: str | None  # sha256 of the part before; None of the first
    first_shard: int
    shards: int
    rows: int
    images: int  # up to the end of this part
    bytes: int | None
    last_uri: str  # of its last row
    ascends: bool  # whether all URIs so far came in bytewise order
    labels: str | None = None  # sha256 of the files that expected labels are from; None where there are none
    is_last: bool
    left_out: tuple[LeftOut, ...] = ()  # of the last part
    opening: Plan | None = None  # of the first part: the plan without what only the end of the listing tells


class Progress(Record):
    """`progress.json`: how far the driver was when it wrote it last, perhaps in an earlier attempt."""

    rows_done: int = 0
    failed: int = 0
    total: int = 0
    is_listed: bool = True  # false: the source is being listed, and `total` is what is listed so far
    images_per_second: float | None = None  # of the attempt that wrote it; 0 before its first row
    eta_s: float | None = None
    bottleneck: str | None = None
    updated: str | None = None  # ISO 8601


class Confusion(Record):
    """One class taken for another; `share` is of all wrong rows."""

    expected: str
    label: str
    count: int
    share: float


class ClassAccuracy(Record):
    """Of the rows that expected one class: how many, and the share that was right."""

    n: int
    top1: float


class Metrics(Record):
    """What a run found, in figures; those of the other task, or without expected labels, are None and not written."""

    rows: int
    failed_by_kind: dict[str, int]
    image_notes: dict[str, int] | None = None  # rows by each word of the column `image_notes`; None where there is none
    boxes: int | None = None
    images_without_box: int | None = None
    boxes_per_class: dict[str, int] | None = None
    predicted_per_class: dict[str, int] | None = None
    evaluated: int | None = None  # rows with an expected label and no error
    top1: float | None = None
    k: int | None = None
    top_k: float | None = None  # written as `top5`, by the value of k; None where k is 1
    unknown_expected: dict[str, int] | None = None
    confusions: tuple[Confusion, ...] | None = None  # the costliest first
    per_class: dict[str, ClassAccuracy] | None = None  # the worst first
    warnings: tuple[str, ...] = ()

    @property
    def per_predicted_class(self) -> dict[str, int]:
        """Boxes or images, by the class that the model gave them."""
        return self.boxes_per_class or self.predicted_per_class or {}

    @model_validator(mode="before")
    @classmethod
    def _read_top_k(cls, data: Any) -> Any:
        k = data.get("k") if isinstance(data, dict) else None
        if isinstance(k, int) and "top_k" not in data:
            return {**data, "top_k": data.get(f"top{k}") if k > 1 else None}
        return data

    @model_serializer(mode="wrap")
    def _write_top_k(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found = {key: value for key, value in handler(self).items() if value is not None}
        return {(f"top{self.k}" if key == "top_k" else key): value for key, value in found.items()}


class CommittedFile(Record):
    """A predictions file; `sha256` is None in what older versions wrote, and where only a listing tells of it."""

    file: str
    rows: int
    bytes: int
    etag: str
    sha256: str | None = None


class Success(Record):
    """`_SUCCESS`: the run is complete, and this is all of it."""

    run_id: str
    rows: int
    failed: int
    files: tuple[CommittedFile, ...]
    metrics: Metrics | None = None
    seconds: float
    finished: str  # ISO 8601
    versions: dict[str, str] = {}
    origins: tuple[OriginGroup, ...] = ()  # the most rows first
    left_out: tuple[LeftOut, ...] = ()  # as in the plan


def load_plan(folder: Folder) -> Plan | None:
    return Plan.load(folder, RunPaths.plan)


def load_progress(folder: Folder) -> Progress | None:
    return Progress.load(folder, RunPaths.progress)


def load_success(folder: Folder) -> Success | None:
    return Success.load(folder, RunPaths.success)
