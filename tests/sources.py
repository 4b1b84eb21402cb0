"""What the tests of all three sources do with one."""

import pyarrow as pa

from job.errors import ImageError


def rows_of(source):
    return pa.concat_tables(source.list())


def outcome(handle):
    """The bytes, or the kind of error."""
    try:
        return handle()
    except ImageError as error:
        return error.kind


def as_rows_name_it(uri):
    """A source's URI as its rows have it: without `anonymous@`, so that they join with other tables."""
    return uri.replace("anonymous@", "")
