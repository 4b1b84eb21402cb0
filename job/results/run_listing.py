"""What is there: a run's committed shards, by one listing, held against the plan and `_SUCCESS`.

`tench verify` and `tench collect` begin here; `tench plan` and a resumed run ask for the shards alone. Reads no row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from job.errors import NoSuchRun, RunFailed
from job.plan.parts import load_frozen
from job.plan.paths import PREDICTIONS, RunPaths
from job.plan.records import CommittedFile, Plan, Success, load_success
from job.stores.folder import same_etag
from job.stores.storage import Folder

LISTED_PROBLEMS = 10
LOOKED_AT = 20  # folders that may be runs


@dataclass(frozen=True)
class RunListing:
    """A run's folder at one moment. `unexpected` are keys that a reader of all the predictions would read, too.

    A file of `shards` has the digest that `_SUCCESS` has of it, and the etag that it has here.
    """

    paths: RunPaths
    plan: Plan
    success: Success | None
    shards: Mapping[int, CommittedFile]
    unexpected: Sequence[str]

    @property
    def missing(self) -> list[int]:
        return [shard for shard in range(self.plan.shards) if shard not in self.shards]

    @property
    def copied(self) -> set[str]:
        """Files of another etag than was committed: copies, or changed. Their bytes have to tell, by the digest."""
        said, here = self._said(), {file.file: file for file in self.shards.values()}
        return {key for key in said.keys() & here.keys() if not same_etag(said[key].etag, here[key].etag)}

    def problems(self) -> dict[str, str]:
        """By key, where the listing and the plan contradict `_SUCCESS`; nothing where the run has not ended."""
        if self.success is None:
            return {}
        said = self._said()
        found = {} if len(said) == self.plan.shards else {RunPaths.success: self._count(len(said))}
        for shard in range(self.plan.shards):
            key = self.paths.predictions(shard)
            if problem := _difference(said.get(key), self.shards.get(shard), self.plan.shard_rows(shard)):
                found[key] = f"{key} {problem}"
        rows = self.success.rows
        if rows != self.plan.images:
            found[RunPaths.success] = f"{RunPaths.success} counts {rows:,} rows, the plan {self.plan.images:,} images"
        return found | {key: f"{key} is no file of this run, and would be read with them" for key in self.unexpected}

    def _said(self) -> dict[str, CommittedFile]:
        return {file.file: file for file in self.success.files} if self.success else {}

    def _count(self, files: int) -> str:
        return f"{RunPaths.success} lists {files:,} files and the plan has {self.plan.shards:,} shards"


def list_run(folder: Folder) -> RunListing:
    """One listing. Raises NoSuchRun where there is no plan, RunFailed where it cannot be read.

    Of a run whose source is being listed the plan is what is frozen so far.
    """
    paths = RunPaths.of(folder.uri)
    # `_SUCCESS` before the listing: what it names was there then.
    success = load_success(folder)
    plan = load_frozen(folder, paths)
    if plan is None:
        raise no_such_run(folder)
    shards, unexpected = list_predictions(folder, paths, plan)
    digests = {file.file: file.sha256 for file in success.files} if success else {}
    known = {shard: file.model_copy(update={"sha256": digests.get(file.file)}) for shard, file in shards.items()}
    return RunListing(paths, plan, success, known, unexpected)


def check_is_run(folder: Folder) -> None:
    """Raises NoSuchRun for a folder that no run has written to."""
    first_part = RunPaths.of(folder.uri).manifest(0)
    if not any(folder.head(key) for key in (RunPaths.plan, RunPaths.success, RunPaths.progress, first_part)):
        raise no_such_run(folder)


def no_such_run(folder: Folder) -> NoSuchRun:
    """The error that says what there is instead: nothing, a folder of runs, or something else."""
    said = f"{folder.uri} has no {RunPaths.plan}: it is no run's folder"
    names = folder.folders()
    runs = [name for name in names[:LOOKED_AT] if folder.head(f"{name}/{RunPaths.plan}")]
    if runs:
        more = len(names) - LISTED_PROBLEMS
        listed = [*runs[:LISTED_PROBLEMS], *([f"and {more:,} more folders"] if more > 0 else [])]
        return NoSuchRun(f"{said}, but one of runs; name one: {folder.uri}/{runs[0]}\n  " + "\n  ".join(listed))
    if not names and not any(table.num_rows for table in folder.list()):
        return NoSuchRun(f"{said}; there is nothing at all")
    return NoSuchRun(said)


def committed_shards(folder: Folder, paths: RunPaths, plan: Plan) -> dict[int, CommittedFile]:
    """The shards whose predictions are there: one listing, nothing of them is read."""
    return list_predictions(folder, paths, plan)[0]


def list_predictions(folder: Folder, paths: RunPaths, plan: Plan) -> tuple[dict[int, CommittedFile], list[str]]:
    """The committed shards, and the keys of other files among them; hidden ones are unfinished writes."""
    found: dict[int, CommittedFile] = {}
    unexpected = []
    for table in folder.list(PREDICTIONS):
        for key, size, etag in zip(*(table[name].to_pylist() for name in ("key", "size", "etag")), strict=True):
            shard = paths.shard_of(key)
            if shard is not None and shard < plan.shards and size is not None:
                found[shard] = CommittedFile(file=key, rows=plan.shard_rows(shard), bytes=size, etag=etag)
            elif not key.endswith("/") and not key.rpartition("/")[2].startswith((".", "_")):
                unexpected.append(key)
    return found, unexpected


def does_not_hold(uri: str, problems: Sequence[str]) -> RunFailed:
    """The error that names the first of them."""
    more = len(problems) - LISTED_PROBLEMS
    listed = [*problems[:LISTED_PROBLEMS], *([f"and {more:,} more"] if more > 0 else [])]
    return RunFailed("\n  ".join([f"{uri} does not hold what it says:", *listed]))


def _difference(said: CommittedFile | None, there: CommittedFile | None, rows: int) -> str | None:
    if said is None:
        return f"is not listed in {RunPaths.success}"
    if there is None:
        return "is gone"
    if there.bytes != said.bytes or (said.sha256 is None and not same_etag(said.etag, there.etag)):
        was = f"{said.bytes:,} bytes, etag {said.etag}"
        return f"was changed: {there.bytes:,} bytes, etag {there.etag}; committed were {was}"
    if said.rows != rows:
        return f"has {said.rows:,} rows in {RunPaths.success} and {rows:,} in the plan"
    return None
