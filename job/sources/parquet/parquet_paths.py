"""Images that a Parquet file only names: Hugging Face's `{bytes: null, path}`. Used by the parquet source."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from job.errors import SourceError, StoreError
from job.sources.object_images import read_objects
from job.sources.parquet.parquet_images import read_images
from job.sources.source import Handle
from job.spec.limits import Limits
from job.stores.storage import open_folder, split_uri

_LOOKED_AT = 8


class PathCheck:
    """Looks for the first few images, once a listing, so that a file without its images is one refusal, not N rows."""

    def __init__(self, column: str | None) -> None:
        self._column = column
        self._is_done = False

    def __call__(self, uris: pa.Array, file_uri: str) -> pa.Array:
        """The same URIs. Raises SourceError where none of the first few leads to a file."""
        if self._is_done:
            return uris
        named = uris.filter(pc.not_equal(uris, "")).unique()[:_LOOKED_AT].to_pylist()
        if not named:
            return uris
        self._is_done = True
        why = [_why_not(uri) for uri in named]
        if all(why):
            raise SourceError(
                f"source.image_column: {self._column!r} holds no bytes in {file_uri}, only paths, and {why[0]}; write "
                "it with the images in it, or put them where the paths lead (a relative one starts at the Parquet file)"
            )
        return uris


def read_both(rows: pa.Table, column: str, limits: Limits) -> Iterator[Handle]:
    """Handles of rows of which some have no offset: those are objects of their own."""
    is_object = pc.is_null(rows["offset"])
    objects = read_objects(rows.filter(is_object), limits)
    images = read_images(rows.filter(pc.invert(is_object)), column, limits)
    try:
        for each in is_object.to_pylist():
            yield next(objects if each else images)
    except GeneratorExit:
        objects.close()  # type: ignore[attr-defined]
        images.close()  # type: ignore[attr-defined]
        raise


def _why_not(uri: str) -> str | None:
    """What keeps an image from being read, None where nothing does."""
    try:
        root, key = split_uri(uri)
        return None if key and open_folder(root).head(key) else f"there is nothing at {uri}"
    except StoreError as error:
        return str(error)
