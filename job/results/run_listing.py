"""What is there: a run's committed shards, by one listing, held against the plan and `_SUCCESS`.

`tench verify` and `tench collect` begin here; `tench plan` and a resumed run ask for the shards alone. Reads no row.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from job.errors import RunFailed
from job.plan.paths import PREDICTIONS, RunPaths
from job.plan.plan import Plan, load_plan
from job.results.sink import Committed
from job.stores.storage import Folder

LISTED_PROBLEMS = 10


@dataclass(frozen=True)
class Inventory:
    """A run's folder at one moment. `strangers` are keys that a reader of all the predictions would read, too."""

    paths: RunPaths
    plan: Plan
    success: Mapping[str, Any] | None
    shards: Mapping[int, Committed]
    strangers: Sequence[str]

    @property
    def missing(self) -> list[int]:
        return [shard for shard in range(self.plan.shards) if shard not in self.shards]

    def problems(self) -> dict[str, str]:
        """By key, where the listing and the plan contradict `_SUCCESS`; nothing where the run has not ended."""
        if self.success is None:
            return {}
        committed = {file["file"]: file for file in self.success["files"]}
        found = {} if len(committed) == self.plan.shards else {RunPaths.success: self._count(len(committed))}
        for shard in range(self.plan.shards):
            key = self.paths.predictions(shard)
            if problem := _difference(committed.get(key), self.shards.get(shard), self.plan.shard_rows(shard)):
                found[key] = f"{key} {problem}"
        rows = self.success["rows"]
        if rows != self.plan.images:
            found[RunPaths.success] = f"{RunPaths.success} counts {rows:,} rows, the plan {self.plan.images:,} images"
        return found | {key: f"{key} is no file of this run, and would be read with them" for key in self.strangers}

    def _count(self, files: int) -> str:
        return f"{RunPaths.success} lists {files:,} files and the plan has {self.plan.shards:,} shards"


def take_inventory(folder: Folder) -> Inventory:
    """One listing. Raises RunFailed where there is no plan, or one that cannot be read."""
    output, _, run_id = folder.uri.rpartition("/")
    paths = RunPaths(output, run_id)
    try:
        # `_SUCCESS` before the listing: what it names was there then.
        plan, success = load_plan(folder), read_success(folder)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise RunFailed(f"{folder.uri}: {RunPaths.plan} or {RunPaths.success} is not Tench's: {reason}") from error
    if plan is None:
        raise RunFailed(f"{folder.uri} has no {RunPaths.plan}: it is no run's folder")
    shards, strangers = list_predictions(folder, paths, plan)
    return Inventory(paths, plan, success, shards, strangers)


def read_success(folder: Folder) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(folder.read(RunPaths.success))
    except FileNotFoundError:
        return None
    return document


def committed_shards(folder: Folder, paths: RunPaths, plan: Plan) -> dict[int, Committed]:
    """The shards whose predictions are there: one listing, nothing of them is read."""
    return list_predictions(folder, paths, plan)[0]


def list_predictions(folder: Folder, paths: RunPaths, plan: Plan) -> tuple[dict[int, Committed], list[str]]:
    """The committed shards, and the keys of other files among them; hidden ones are unfinished writes."""
    found: dict[int, Committed] = {}
    strangers = []
    for table in folder.list(PREDICTIONS):
        for key, size, etag in zip(*(table[name].to_pylist() for name in ("key", "size", "etag")), strict=True):
            shard = paths.shard_of(key)
            if shard is not None and shard < plan.shards and size is not None:
                found[shard] = Committed(key, plan.shard_rows(shard), size, etag)
            elif not key.endswith("/") and not key.rpartition("/")[2].startswith((".", "_")):
                strangers.append(key)
    return found, strangers


def does_not_hold(uri: str, problems: Sequence[str]) -> RunFailed:
    """The error that names the first of them."""
    more = len(problems) - LISTED_PROBLEMS
    listed = [*problems[:LISTED_PROBLEMS], *([f"and {more:,} more"] if more > 0 else [])]
    return RunFailed("\n  ".join([f"{uri} does not hold what it says:", *listed]))


def _difference(said: Mapping[str, Any] | None, there: Committed | None, rows: int) -> str | None:
    if said is None:
        return f"is not listed in {RunPaths.success}"
    if there is None:
        return "is gone"
    # Azure quotes an etag in every answer but a listing.
    if (there.bytes, there.etag.strip('"')) != (said["bytes"], said["etag"].strip('"')):
        was = f"{said['bytes']:,} bytes, etag {said['etag']}"
        return f"was changed: {there.bytes:,} bytes, etag {there.etag}; committed were {was}"
    if said["rows"] != rows:
        return f"has {said['rows']:,} rows in {RunPaths.success} and {rows:,} in the plan"
    return None
