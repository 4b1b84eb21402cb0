"""The public bucket of a source: its rows name their images as everybody does, and are read without a signature."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from job.stores.uris import anonymous_root, named_plainly


@dataclass(frozen=True)
class PublicBucket:
    """A bucket by its URI with `anonymous@` and by the one without."""

    unsigned: str
    plain: str

    @classmethod
    def of(cls, uri: str) -> "PublicBucket | None":
        """The bucket of a source's URI; None where that is signed, or is a path."""
        root = anonymous_root(uri)
        return None if root is None else cls(root, named_plainly(root))

    def name_plainly(self, rows: pa.Table) -> pa.Table:
        """Rows whose `uri` has no `anonymous@`."""
        return _replace_root(rows, self.unsigned, self.plain)

    def name_as_public(self, rows: pa.Table) -> pa.Table:
        """Rows whose `uri` says that nothing is to be signed, as those of older plans say it already."""
        return _replace_root(rows, self.plain, self.unsigned)


def _replace_root(rows: pa.Table, root: str, by: str) -> pa.Table:
    uris = rows["uri"]
    found = pc.starts_with(uris, f"{root}/")
    rest = pc.utf8_slice_codeunits(uris, len(root))
    replaced = pc.if_else(found, pc.binary_join_element_wise(pa.scalar(by), rest, ""), uris)
    return rows.set_column(rows.schema.get_field_index("uri"), rows.schema.field("uri"), replaced)
