"""The form of a collection: what the predictions become on the user's machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """A format, in so many files (or one a shard), of the rows that are wanted."""

    format: str = "parquet"
    merge: int | None = None
    where: str | None = None

    def __str__(self) -> str:
        """As it is called for."""
        merge = "" if self.merge is None else f" --merge {self.merge}"
        return f"--format {self.format}{merge}" + ("" if self.where is None else f" --where {self.where!r}")

    @property
    def is_the_runs_own(self) -> bool:
        """Whether the run's files are wanted as they are."""
        return self == Form()
