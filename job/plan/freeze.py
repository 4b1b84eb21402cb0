"""Freezing a plan: the source's listing cut into shards and written once, the manifest first and `plan.json` last.

Only `plan.json` makes the parts of a manifest a plan. Each part's digest stands in it, so parts left by a planner that
died, or by one that lost a race, can never be taken for this plan's.
"""

import datetime
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.errors import StoreError
from job.plan.fingerprint import fingerprint, with_absolute_paths
from job.plan.paths import RunPaths
from job.plan.plan import check_unchanged, versions
from job.plan.records import LAYOUT, FrozenModel, LeftOut, Part, Plan, load_plan
from job.settings import IMAGE
from job.spec.columns import CROP, PLACE
from job.spec.spec import JobSpec
from job.stores.storage import Folder

log = logging.getLogger(__name__)

PART_ROWS = 1_000_000
PART_BYTES = 64 << 20


def freeze(
    spec: JobSpec,
    paths: RunPaths,
    folder: Folder,
    listing: Iterator[pa.Table],
    model: Callable[[], FrozenModel | None] = lambda: None,
    left_out: Callable[[], Sequence[LeftOut]] = tuple,
    source_identity: str | None = None,
) -> Plan:
    """Writes the manifest and then `plan.json`, create-only. Where another planner was first, its plan is the one.

    `model` and `left_out` are asked once the source is listed; a model may have to wait for a replica's node.
    """
    images = 0
    sizes: int | None = 0
    parts: list[Part] = []
    for first_shard, shards in _parts(_shards(listing, spec.output.rows_per_file)):
        try:
            parts.append(_write_part(folder, paths.manifest(len(parts)), first_shard, shards))
        except FileExistsError:
            return _winner(folder, spec)
        for table in shards:
            images += table.num_rows
            sizes = add_sizes(sizes, table)
    plan = Plan(
        run_id=paths.run_id,
        fingerprint=fingerprint(spec),
        spec=with_absolute_paths(spec).model_dump(mode="json"),
        images=images,
        bytes=sizes,
        shards=sum(part.shards for part in parts),
        rows_per_file=spec.output.rows_per_file,
        parts=tuple(parts),
        versions=versions(),
        model=model(),
        image=IMAGE.value(),
        left_out=tuple(left_out()),
        source_identity=source_identity,
        layout=LAYOUT,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    return _commit(plan, folder, spec)


def add_sizes(total: int | None, listing: pa.Table) -> int | None:
    """Bytes so far and those of a table of the listing; None as soon as one size is not known.

    That of a crop is not: `size` is of the image that all its crops are cut from.
    """
    if total is None or listing["size"].null_count or CROP[0] in listing.column_names:
        return None
    return total + int(pc.sum(listing["size"]).as_py() or 0)


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
    place = [pa.repeat(pa.scalar(shard, pa.int32()), rows), pa.array(range(rows), pa.int32())]
    return pa.table([*place, *table.columns], [*PLACE, *table.column_names])


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
    digest = hashlib.sha256(data).hexdigest()
    return Part(
        first_shard=first_shard,
        shards=len(shards),
        rows=sum(table.num_rows for table in shards),
        etag=_create_or_replace(folder, key, data, digest),
        sha256=digest,
        file=key,
    )


def _create_or_replace(folder: Folder, key: str, data: bytes, digest: str) -> str:
    """Returns the etag. Raises FileExistsError where another planner has finished with another listing.

    What lies there was left by a planner that never wrote plan.json, or is another's at work. Two at work on one
    listing write the same bytes, and neither touches the other's. Where their listings differ, one of the two plan.json
    is refused, and a part that then is not the plan's is found by its digest.
    """
    try:
        return folder.create(key, data)
    except FileExistsError:
        entry = folder.head(key)
        if entry and hashlib.sha256(folder.read(key)).hexdigest() == digest:
            return entry.etag
        if folder.head(RunPaths.plan):
            raise
        return folder.put(key, data)


def _commit(plan: Plan, folder: Folder, spec: JobSpec) -> Plan:
    data = plan.to_bytes()
    try:
        folder.create(RunPaths.plan, data)
    except FileExistsError:
        return _winner(folder, spec)
    _probe_create_only(folder, data)
    return plan


def _winner(folder: Folder, spec: JobSpec) -> Plan:
    """The plan that another planner committed first."""
    plan = load_plan(folder)
    if plan is None:
        raise StoreError(f"{folder.uri}/{RunPaths.plan} exists and cannot be read; look at the folder's permissions")
    check_unchanged(plan, spec)
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
