"""The plan: the source listed once and frozen, so that every later attempt means the same images.

The manifest's parts are written first, `plan.json` last; only it makes them a plan. Each part's digest stands in
`plan.json`, so parts left by a planner that died, or by one that lost a race, can never be taken for this plan's.
"""

import datetime
import hashlib
import json
import logging
import platform
from collections.abc import Iterator
from importlib import metadata
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from job.errors import PlanChanged, StoreError
from job.paths import RunPaths
from job.spec import JobSpec
from job.storage import Folder

log = logging.getLogger(__name__)

PART_ROWS = 1_000_000
PART_BYTES = 64 << 20


class Part(BaseModel):
    """One manifest object: a row group for each of its shards."""

    model_config = ConfigDict(frozen=True)

    first_shard: int
    shards: int
    rows: int
    etag: str
    sha256: str


class Plan(BaseModel):
    """What `plan.json` says. Unknown keys are ignored, so that a newer writer does not break an older reader."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    fingerprint: str
    spec: dict[str, Any]
    images: int
    bytes: int | None
    shards: int
    rows_per_file: int
    parts: tuple[Part, ...]
    versions: dict[str, str]
    created: str

    def shard_rows(self, shard: int) -> int:
        return min(self.rows_per_file, self.images - shard * self.rows_per_file)


def determinants(spec: JobSpec) -> dict[str, Any]:
    """What determines the result: the same of these is the same run."""
    return {
        "source": spec.source.model_dump(mode="json"),
        "model": spec.model.model_dump(mode="json"),
        "output.rows_per_file": spec.output.rows_per_file,
    }


def fingerprint(spec: JobSpec) -> str:
    """sha256 in hex over the determinants."""
    return hashlib.sha256(json.dumps(determinants(spec), sort_keys=True).encode()).hexdigest()


def run_paths(spec: JobSpec, run_id: str | None = None) -> RunPaths:
    return RunPaths(spec.output.uri, run_id or f"{spec.name}-{fingerprint(spec)[:8]}")


def load_plan(folder: Folder) -> Plan | None:
    try:
        return Plan.model_validate_json(folder.read(RunPaths.plan))
    except FileNotFoundError:
        return None


def check_unchanged(plan: Plan, spec: JobSpec) -> None:
    """Refuses a spec that would give other rows than the frozen ones. Raises PlanChanged, naming each difference."""
    if plan.fingerprint == fingerprint(spec):
        return
    old, new = _flatten(determinants(JobSpec.model_validate(plan.spec))), _flatten(determinants(spec))
    changes = [
        f"{key}: {old.get(key)!r} → {new.get(key)!r}" for key in sorted({*old, *new}) if old.get(key) != new.get(key)
    ]
    raise PlanChanged(
        f"run {plan.run_id} was planned with another spec; give the new one another --run-id, or leave it out\n  "
        + "\n  ".join(changes)
    )


def freeze(spec: JobSpec, paths: RunPaths, folder: Folder, listing: Iterator[pa.Table]) -> Plan:
    """Writes the manifest and then `plan.json`, create-only. Where another planner was first, its plan is the one."""
    images = 0
    sizes: int | None = 0
    parts: list[Part] = []
    for first_shard, shards in _parts(_shards(listing, spec.output.rows_per_file)):
        parts.append(_write_part(folder, paths.manifest(len(parts)), first_shard, shards))
        for table in shards:
            images += table.num_rows
            sizes = None if sizes is None or table["size"].null_count else sizes + sum_of(table["size"])
    plan = Plan(
        run_id=paths.run_id,
        fingerprint=fingerprint(spec),
        spec=spec.model_dump(mode="json"),
        images=images,
        bytes=sizes,
        shards=sum(part.shards for part in parts),
        rows_per_file=spec.output.rows_per_file,
        parts=tuple(parts),
        versions=versions(),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    return _commit(plan, folder, spec)


def versions() -> dict[str, str]:
    """Of everything that can change a prediction, as installed; nothing is imported."""
    found = {"python": platform.python_version()}
    for name in ("tench", "torch", "torchvision", "transformers", "ray", "pillow", "simplejpeg", "pyarrow"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def sum_of(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)


def _shards(listing: Iterator[pa.Table], rows_per_file: int) -> Iterator[pa.Table]:
    """Cuts tables of any length into shards, numbered."""
    waiting: list[pa.Table] = []
    rows = shard = 0
    for table in listing:
        waiting.append(table)
        rows += table.num_rows
        if rows < rows_per_file:
            continue
        joined = pa.concat_tables(waiting)
        whole = rows - rows % rows_per_file
        for start in range(0, whole, rows_per_file):
            yield _number(joined.slice(start, rows_per_file), shard)
            shard += 1
        waiting, rows = [joined.slice(whole)], rows - whole
    if rows:
        yield _number(pa.concat_tables(waiting), shard)


def _number(table: pa.Table, shard: int) -> pa.Table:
    rows = table.num_rows
    table = table.add_column(0, "row", pa.array(range(rows), pa.int32()))
    return table.add_column(0, "shard", pa.repeat(pa.scalar(shard, pa.int32()), rows))


def _parts(shards: Iterator[pa.Table]) -> Iterator[tuple[int, list[pa.Table]]]:
    """Groups shards into parts that are bounded in rows and in memory, so that kept columns of any size can pass."""
    first = count = rows = size = 0
    part: list[pa.Table] = []
    for table in shards:
        if part and (rows + table.num_rows > PART_ROWS or size + table.nbytes > PART_BYTES):
            yield first, part
            first, part, rows, size = count, [], 0, 0
        part.append(table)
        count, rows, size = count + 1, rows + table.num_rows, size + table.nbytes
    if part:
        yield first, part


def _write_part(folder: Folder, key: str, first_shard: int, shards: list[pa.Table]) -> Part:
    buffer = BytesIO()
    with pq.ParquetWriter(buffer, shards[0].schema, compression="zstd") as writer:
        for table in shards:
            writer.write_table(table, row_group_size=table.num_rows)
    data = buffer.getvalue()
    try:
        etag = folder.create(key, data)
    except FileExistsError:
        # Left by a planner that never wrote plan.json. If it is alive after all, one of the two plan.json is refused,
        # and a part that then is not the plan's is found by its digest.
        etag = folder.put(key, data)
    return Part(
        first_shard=first_shard,
        shards=len(shards),
        rows=sum(table.num_rows for table in shards),
        etag=etag,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _commit(plan: Plan, folder: Folder, spec: JobSpec) -> Plan:
    data = plan.model_dump_json(indent=1).encode()
    try:
        folder.create(RunPaths.plan, data)
    except FileExistsError:
        winner = load_plan(folder)
        if winner is None:
            raise StoreError(
                f"{folder.uri}/{RunPaths.plan} exists and cannot be read; look at the folder's permissions"
            ) from None
        check_unchanged(winner, spec)
        return winner
    _probe_create_only(folder, data)
    return plan


def _probe_create_only(folder: Folder, data: bytes) -> None:
    """Some S3-compatible stores ignore `If-None-Match: *` and overwrite; two drivers of one run are then not fenced."""
    try:
        folder.create(RunPaths.plan, data)
    except FileExistsError:
        return
    log.warning(
        "%s overwrites where it was asked to create only; never start one run id twice at a time there", folder.uri
    )


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, child in value.items() for k, v in _flatten(child, f"{path}.{key}" if path else key).items()}
