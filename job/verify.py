"""Verifying: a finished run against its own plan, object by object. Reads predictions and manifest, never an image."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq
from pydantic import BaseModel

from job.errors import RunFailed
from job.outcome import read_success
from job.paths import RunPaths
from job.plan import Plan, load_plan
from job.shards import Manifest
from job.storage import Folder, open_folder

READERS = 8
LISTED_PROBLEMS = 10


class Verified(BaseModel):
    """As `tench verify -o json` prints it."""

    uri: str
    files: int
    rows: int
    failed: int


def verify(uri: str) -> Verified:
    """Raises RunFailed, naming what does not hold: a file, an etag, a row that is missing, doubled or out of order."""
    folder = open_folder(uri)
    output, _, run_id = folder.uri.rpartition("/")
    plan, success = load_plan(folder), read_success(folder)
    if not plan or not success:
        missing = RunPaths.success if plan else RunPaths.plan
        raise RunFailed(f"{folder.uri} has no {missing}; it is no run's folder, or the run is not finished")
    manifest = Manifest(RunPaths(output, run_id), plan.parts)
    files = {file["file"]: file for file in success["files"]}
    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda shard: _problem(folder, manifest, shard, files), range(plan.shards))
        problems = [problem for problem in (*_totals(plan, success), *found) if problem]
    if problems:
        more = len(problems) - LISTED_PROBLEMS
        listed = [*problems[:LISTED_PROBLEMS], *([f"and {more:,} more"] if more > 0 else [])]
        raise RunFailed("\n  ".join([f"{folder.uri} does not hold what it says:", *listed]))
    return Verified(uri=folder.uri, files=len(files), rows=success["rows"], failed=success["failed"])


def _totals(plan: Plan, success: Mapping[str, Any]) -> list[str]:
    problems = []
    if success["rows"] != plan.images:
        problems.append(f"{RunPaths.success} counts {success['rows']:,} rows and the plan {plan.images:,} images")
    if len(success["files"]) != plan.shards:
        problems.append(
            f"{RunPaths.success} lists {len(success['files']):,} files and the plan has {plan.shards:,} shards"
        )
    return problems


def _problem(folder: Folder, manifest: Manifest, shard: int, files: Mapping[str, Mapping[str, Any]]) -> str | None:
    key = manifest.paths.predictions(shard)
    entry = folder.head(key)
    if key not in files:
        return f"{key} is not listed in {RunPaths.success}"
    if entry is None:
        return f"{key} is gone"
    if (entry.size, entry.etag) != (files[key]["bytes"], files[key]["etag"]):
        was = f"{files[key]['bytes']:,} bytes, etag {files[key]['etag']}"
        return f"{key} was changed: {entry.size:,} bytes, etag {entry.etag}; committed were {was}"
    planned = manifest.rows(shard, ["uri"])["uri"]
    written = pq.read_table(BytesIO(folder.read(key)), columns=["uri"])["uri"]
    if not written.equals(planned):
        return f"{key} holds {len(written):,} rows that are not the plan's {len(planned):,}, in its order"
    return None
