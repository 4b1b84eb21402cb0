"""Parts: the objects that a manifest is made of, a row group a shard, each with a head that says where it belongs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from job.plan.paths import RunPaths
from job.plan.records import Part, PartHead, Plan, load_plan
from job.spec.columns import PLACE
from job.stores.range_file import RangeFile
from job.stores.storage import Folder

HEAD = b"tench.part"


@dataclass(frozen=True)
class Chain:
    """The parts that are frozen so far, in order, and what the first and the last of them say."""

    parts: tuple[Part, ...]
    opening: Plan
    head: PartHead

    def so_far(self) -> Plan:
        """The plan as far as it is frozen; its list is still open."""
        return self.opening.model_copy(
            update={
                "images": self.head.images,
                "bytes": self.head.bytes,
                "shards": self.head.first_shard + self.head.shards,
                "parts": self.parts,
            }
        )

    def closed(self) -> Plan:
        """The plan, once the last part is frozen: whoever writes it down writes the same."""
        # The last one is without rows where the source lost what came behind the one before it.
        parts = tuple(part for part in self.parts if part.rows)
        return self.so_far().model_copy(update={"is_listed": True, "left_out": self.head.left_out, "parts": parts})


def load_chain(folder: Folder, paths: RunPaths) -> Chain | None:
    """What a planner has frozen that has not written `plan.json` yet; None where there is nothing.

    Three small reads a part, and all of the last one.
    """
    chain: Chain | None = None
    while chain is None or not chain.head.is_last:
        found = read_part(folder, paths, 0 if chain is None else len(chain.parts))
        if found is None:
            break
        part, head = found
        if chain is None:
            chain = Chain((part,), head.opening, head) if head.opening else None
            if chain is None:
                return None
        else:
            before = chain.parts[-1].model_copy(update={"sha256": head.previous})
            chain = replace(chain, parts=(*chain.parts[:-1], before, part), head=head)
    if chain is None:
        return None
    last = chain.parts[-1]
    digest = hashlib.sha256(folder.read(str(last.file))).hexdigest()
    return replace(chain, parts=(*chain.parts[:-1], last.model_copy(update={"sha256": digest})))


def read_part(folder: Folder, paths: RunPaths, number: int) -> tuple[Part, PartHead] | None:
    """A part by its head, without its digest; None where there is none, or none of a chain."""
    key = paths.manifest(number)
    entry = folder.head(key)
    if entry is None:
        return None
    head = head_of(RangeFile(folder, key, entry.size))
    return None if head is None else (as_part(head, key, entry.etag, ""), head)


def head_of(file: RangeFile | BytesIO) -> PartHead | None:
    """The head of a part; None where it is none of a chain."""
    try:
        data = (pq.read_schema(file).metadata or {}).get(HEAD)
    except pa.ArrowInvalid:  # another program's
        return None
    return None if data is None else PartHead.model_validate_json(data)


def without_head(table: pa.Table) -> pa.Table:
    """Rows of a part, whose schema says nothing of the part."""
    others = {key: value for key, value in (table.schema.metadata or {}).items() if key != HEAD}
    return table.replace_schema_metadata(others or None)


def as_part(head: PartHead, key: str, etag: str, sha256: str) -> Part:
    """As a plan names it."""
    return Part(first_shard=head.first_shard, shards=head.shards, rows=head.rows, etag=etag, sha256=sha256, file=key)


def encode_part(head: PartHead, shards: Sequence[pa.Table]) -> bytes:
    """Parquet, one row group a shard, and before a listing's columns the shard's number and the row's in it."""
    buffer = BytesIO()
    schema = _number(shards[0] if shards else pa.table({}), 0).schema
    schema = schema.with_metadata({**(schema.metadata or {}), HEAD: head.model_dump_json()})
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for shard, table in enumerate(shards, head.first_shard):
            writer.write_table(_number(table, shard).cast(schema), row_group_size=table.num_rows)
    return buffer.getvalue()


def _number(table: pa.Table, shard: int) -> pa.Table:
    rows = table.num_rows
    place = [pa.repeat(pa.scalar(shard, pa.int32()), rows), pa.array(range(rows), pa.int32())]
    return pa.table([*place, *table.columns], [*PLACE, *table.column_names])


def load_frozen(folder: Folder, paths: RunPaths) -> Plan | None:
    """What is frozen of a run: its plan, or what there is of one that is open."""
    if plan := load_plan(folder):
        return plan
    chain = load_chain(folder, paths)
    return chain.so_far() if chain else None
