"""Images without an expected label although labels were asked for: how many, and the first."""

import pyarrow as pa
import pyarrow.compute as pc

from job.terminal.wording import counted, printable


class Unlabelled:
    """Counts over the tables of a listing."""

    def __init__(self) -> None:
        self.images = 0
        self.first: str | None = None
        self._listed = 0

    def add(self, table: pa.Table) -> None:
        """A table with the columns `uri` and `expected`."""
        self._listed += table.num_rows
        self.images += table["expected"].null_count
        if self.images and self.first is None:
            self.first = table["uri"][pc.index(pc.is_null(table["expected"]), True).as_py()].as_py()

    def sentence(self, label_from: str) -> str:
        """As a warning says it; `label_from` is the spec's."""
        have = "has" if self.images == 1 else "have"
        of = f"{self.images:,} of {counted(self._listed, 'image')} {have} no label"
        return f"{of} from source.label_from: {label_from}; the first is {printable(self.first or '')}"
