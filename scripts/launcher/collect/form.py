"""The form of a collection: what the predictions become on the user's machine."""

from dataclasses import dataclass

from job.errors import UsageError

FORMATS = ("parquet", "csv", "jsonl")


@dataclass(frozen=True)
class Form:
    """A format, in so many files (or one a shard), of the rows that are wanted."""

    format: str = "parquet"
    merge: int | None = None
    where: str | None = None

    def check(self) -> None:
        """Raises UsageError for what a call from Python can ask and the command line cannot."""
        if self.format not in FORMATS:
            raise UsageError(f"format is {self.format!r}; there are {', '.join(FORMATS)}")
        if self.merge is not None and (not isinstance(self.merge, int) or self.merge < 1):
            raise UsageError(f"merge is {self.merge!r}; it must be a number of files, 1 or more")
        if self.where is not None and not isinstance(self.where, str):
            raise UsageError(f"where is {self.where!r}; it must be a condition of SQL, as text")

    def __str__(self) -> str:
        """As it is called for."""
        merge = "" if self.merge is None else f" --merge {self.merge}"
        return f"--format {self.format}{merge}" + ("" if self.where is None else f" --where {self.where!r}")

    @property
    def is_the_runs_own(self) -> bool:
        """Whether the run's files are wanted as they are."""
        return self == Form()
