"""Images that are ranges of larger files: neighbours come in one request. Used by the webdataset source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import pyarrow as pa

from job.errors import ImageError, ObjectChanged, StoreError
from job.sources.container_files import reopen
from job.sources.read_ahead import ReadAhead
from job.sources.source import Handle
from job.spec.limits import Limits
from job.stores.storage import is_bucket

_SPAN_BYTES = 8 << 20
_GAP_BYTES = 256 << 10
_THREADS = 3
_AHEAD_BYTES = 3 * _SPAN_BYTES


@dataclass(frozen=True, slots=True)
class _Image:
    """`size` bytes from `offset` of the file that was listed with this etag."""

    uri: str
    etag: str | None
    offset: int
    size: int


@dataclass(slots=True)
class _Span:
    """Neighbours, from the first one's start to the last one's end."""

    uri: str
    etag: str | None
    start: int
    stop: int
    images: int

    def takes(self, image: _Image) -> bool:
        """Whether the image is near enough behind, and the span stays short enough."""
        gap = image.offset - self.stop
        return (
            self.uri == image.uri and 0 <= gap <= _GAP_BYTES and image.offset + image.size - self.start <= _SPAN_BYTES
        )


def read_slices(rows: pa.Table, limits: Limits) -> Iterator[Handle]:
    """A handle for each row of `uri` (`FILE#NAME`), `size`, `etag`, `offset`, in order. Buckets are read ahead."""
    uris = [uri.rpartition("#")[0] for uri in rows["uri"].to_pylist()]
    places = (rows[name].to_pylist() for name in ("etag", "offset", "size"))
    images = [_Image(*row) for row in zip(uris, *places, strict=True)]
    is_read = [0 < image.size <= limits.max_bytes for image in images]
    spans, span_of = _plan([image if is_read[n] and is_bucket(image.uri) else None for n, image in enumerate(images)])
    fetch = _Fetch()
    costs = [span.stop - span.start for span in spans]
    ahead = ReadAhead(lambda unit: fetch(spans[unit]), costs, [span.images for span in spans], _THREADS, _AHEAD_BYTES)
    try:
        for number, image in enumerate(images):
            if not is_read[number]:
                yield partial(_refuse, image.size, limits)
            elif (unit := span_of[number]) is None:
                yield partial(_read, fetch, image)
            else:
                yield partial(_cut, ahead, unit, spans[unit].start, image)
    except GeneratorExit:
        ahead.close()
        raise


def _plan(images: Sequence[_Image | None]) -> tuple[list[_Span], list[int | None]]:
    """The spans to fetch, and each image's; None for one that needs none."""
    spans: list[_Span] = []
    span_of: list[int | None] = []
    for image in images:
        if image is None:
            span_of.append(None)
            continue
        if spans and spans[-1].takes(image):
            spans[-1].stop = image.offset + image.size
            spans[-1].images += 1
        else:
            spans.append(_Span(image.uri, image.etag, image.offset, image.offset + image.size, 1))
        span_of.append(len(spans) - 1)
    return spans, span_of


class _Fetch:
    """Reads spans; each file is looked up once."""

    def __init__(self) -> None:
        self._reopened = lru_cache(maxsize=8)(reopen)

    def __call__(self, span: _Span) -> bytes:
        try:
            folder, key = self._reopened(span.uri)
            return folder.read_range(key, span.start, span.stop - span.start, span.etag)
        except FileNotFoundError:
            raise ImageError("missing", f"{span.uri} is gone") from None
        except ObjectChanged as error:
            raise ImageError("changed", str(error)) from error
        except StoreError as error:
            raise ImageError("unreadable", str(error)) from error


def _cut(ahead: ReadAhead[bytes], unit: int, start: int, image: _Image) -> bytes:
    begin = image.offset - start
    return _whole(ahead.take(unit)[begin : begin + image.size], image)


def _read(fetch: _Fetch, image: _Image) -> bytes:
    return _whole(fetch(_Span(image.uri, image.etag, image.offset, image.offset + image.size, 1)), image)


def _whole(data: bytes, image: _Image) -> bytes:
    if len(data) < image.size:
        raise ImageError(
            "changed", f"{image.uri} ends before byte {image.offset + image.size:,}; it was longer when listed"
        )
    return data


def _refuse(size: int, limits: Limits) -> bytes:
    limits.check_size(size)
    return b""
