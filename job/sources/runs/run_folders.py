"""Tench's own runs among what a source holds: their manifests and predictions are no images, at any depth.

Told from the listing alone, whose keys come in order, so that a bucket is asked nothing more: all keys of a folder
stand together, and of a run's own names `plan.json` comes behind the manifest and before the predictions.
"""

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from job.plan.paths import PREDICTIONS, RunPaths
from job.sources.left_out import LeftOutCounts
from job.stores.storage import ROWS_PER_TABLE

OWN_RUNS = "objects of Tench's own runs"

_PARENT = r"(?s)^(?P<folder>(?:.*/)?)"
_FIRST_PART = rf"{_PARENT}manifest/part-00000\.[a-z]+$"
_PLAN = rf"{_PARENT}{re.escape(RunPaths.plan)}$"
# What a run has before its plan.json: a listing's table may end there.
_BEFORE_PLAN = re.compile(rf"{_PARENT}(?:{RunPaths.success}|logs/driver-[^/]*|manifest/part-\d+\.[a-z]+)$")
# A planner that died has left parts and no plan.json, and one that is at work has none yet.
_RUN_ID = re.compile(r"(?:.*/)?[a-z][-a-z0-9]*-[0-9a-f]{8}/", re.DOTALL)
_PARTS_OF_RUNS = (f"/{PREDICTIONS}", "/manifest/")
_MOST_HELD = 2 * ROWS_PER_TABLE


def names_parts_of_runs(uri: str) -> bool:
    """Whether a source's URI itself says that it means what lies inside runs."""
    return any(part in f"/{uri}/" for part in _PARTS_OF_RUNS)


def own_runs_hint(left_out: LeftOutCounts) -> str:
    """Why a source that is a run, or holds nothing but runs, has no images; nothing for another."""
    count = left_out.count(OWN_RUNS)
    if not count:
        return ""
    ways = f"source.kind: run takes the images of one, and its own files are RUN/{PREDICTIONS}"
    return f"; {count:,} {OWN_RUNS} are there, which are passed over: {ways}"


def without_runs(tables: Iterator[pa.Table], left_out: LeftOutCounts) -> Iterator[pa.Table]:
    """A listing, in the order of its keys, without the folders of runs; what lies in them is counted."""
    held: list[pa.Table] = []
    open_runs: tuple[str, ...] = ()  # those that the next table may go on with
    for table in tables:
        if not table.num_rows:
            continue
        table = pa.concat_tables([*held, table])
        held = []
        last = table["key"][-1].as_py()
        runs = (*open_runs, *_runs_in(table["key"]))
        open_runs = tuple(run for run in runs if last.startswith(run))
        table = _drop(table, runs, left_out)
        undecided = None if open_runs else _BEFORE_PLAN.match(last)
        if undecided:
            is_certain = pc.invert(pc.starts_with(table["key"], undecided["folder"]))
            waiting = table.filter(pc.invert(is_certain))
            if waiting.num_rows <= _MOST_HELD:
                held, table = [waiting], table.filter(is_certain)
        yield from _cut(table)
    yield from (part for table in held for part in _cut(table))


def _runs_in(keys: pa.ChunkedArray) -> list[str]:
    """Folders that have a manifest's first part and a plan, or such a part and the name of a run."""
    planned = _folders(keys, "manifest/part-00000.", _FIRST_PART)
    if not planned:
        return []
    plans = set(_folders(keys, RunPaths.plan, _PLAN))
    return [folder for folder in planned if folder in plans or _RUN_ID.fullmatch(folder)]


def _folders(keys: pa.ChunkedArray, part: str, pattern: str) -> list[str]:
    near = keys.filter(pc.match_substring(keys, part))  # a regular expression costs ten times as much
    if not len(near):
        return []
    found = pc.struct_field(pc.extract_regex(near, pattern), "folder")
    return [folder for folder in found.to_pylist() if folder is not None]


def _drop(table: pa.Table, runs: tuple[str, ...], left_out: LeftOutCounts) -> pa.Table:
    for run in runs:
        is_own = pc.starts_with(table["key"], run)
        own = table.filter(is_own)
        if own.num_rows:
            left_out.add(OWN_RUNS, own.num_rows, own["key"][0].as_py())
            table = table.filter(pc.invert(is_own))
    return table


def _cut(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, ROWS_PER_TABLE):
        yield table.slice(start, ROWS_PER_TABLE)
