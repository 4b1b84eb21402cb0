"""Where the images come from. `open_source` picks the kind; the plan lists a source once, decoding reads from it."""

from typing import assert_never

from job.sources.source import Handle, Source
from job.spec.limits import Limits
from job.spec.spec import FilesSource, ListSource, ParquetSource, RunSource, SourceSpec, WebdatasetSource

__all__ = ["Handle", "Source", "open_source", "source_identity"]


def open_source(spec: SourceSpec, limits: Limits) -> Source:
    """The source of a spec; an image beyond the limits is not read. Touches no store yet."""
    if isinstance(spec, FilesSource):
        from job.sources.files.files_source import FilesReader

        return Source(spec, FilesReader(spec, limits), ascends=True)
    if isinstance(spec, ParquetSource):
        from job.sources.parquet.parquet_source import ParquetReader

        return Source(spec, ParquetReader(spec, limits))
    if isinstance(spec, WebdatasetSource):
        from job.sources.tar.webdataset_source import WebdatasetReader

        return Source(spec, WebdatasetReader(spec, limits))
    if isinstance(spec, ListSource):
        from job.sources.lists.list_source import ListReader

        return Source(spec, ListReader(spec, limits))
    if isinstance(spec, RunSource):
        from job.sources.runs.finished_run import RunReader

        return Source(spec, RunReader(spec, limits, open_source))
    assert_never(spec)


def source_identity(spec: SourceSpec) -> str | None:
    """What a source hangs on beside its spec: of an earlier run, which one it is. None where there is nothing."""
    if not isinstance(spec, RunSource):
        return None
    from job.sources.runs.finished_run import run_identity

    return run_identity(spec.uri)
