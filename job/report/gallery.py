"""The pictures of the report: a picked row and its thumbnail as an item, with geometry and words ready to lay out.

`page` gives items to the template. Boxes stay vectors over the thumbnail, in percent of its sides, so that they are
crisp at every size.
"""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from job.report.sampled_rows import Box, SampledRow
from job.terminal.wording import printable, shorten

THUMBNAIL_EDGE = 320  # pixels of the longer side: an item is 150 to 290 wide
THUMBNAIL_QUALITY = 72  # about 10 KB a photograph
PLATE_ASPECT = 4 / 3  # every picture lies on a plate of this shape, whole
MAX_TAGS = 6  # boxes that carry their name; all are outlined

# Bright enough on a photograph under a dark halo, and for dark text on top (contrast above 7).
COLOURS = (
    "#f0a63c", "#5ab8f0", "#f283ab", "#5fd08f", "#bd9bf7", "#fa8a68", "#41cdca", "#dfce45", "#a9bed1", "#d39d70",
)  # fmt: skip


@dataclass(frozen=True)
class Outline:
    """A box; left, top, width and height in percent of the picture."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    text: str


@dataclass(frozen=True)
class Tag:
    """The name of a box; `style` puts it at the box's corner, inside the picture."""

    text: str
    colour: str
    style: str


@dataclass(frozen=True)
class GalleryItem:
    """One picture of a gallery and what is said of it."""

    sample: SampledRow
    image: str | None  # a data: URI
    alt: str
    width: float  # percent of the plate
    short_uri: str
    found: str  # the boxes by name: `2 × bicycle, car`
    outlines: Sequence[Outline]
    tags: Sequence[Tag]

    @property
    def is_wrong(self) -> bool:
        return self.sample.expected is not None and self.sample.expected != self.sample.label


def thumbnail(image: npt.NDArray[np.uint8]) -> bytes:
    """A small WebP of an image [H, W, 3], its proportions kept."""
    picture = Image.fromarray(image)
    picture.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=THUMBNAIL_QUALITY)
    return out.getvalue()


def class_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, in turn; after the last they come again."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def to_item(sample: SampledRow, thumbnail_webp: bytes | None, colours: Mapping[str, str]) -> GalleryItem:
    """The item of a row; without a thumbnail (the image could not be fetched again) it says so."""
    aspect = sample.width / max(sample.height, 1)
    data = base64.b64encode(thumbnail_webp).decode("ascii") if thumbnail_webp else None
    return GalleryItem(
        sample=sample,
        image=f"data:image/webp;base64,{data}" if data else None,
        alt=_alt(sample),
        width=100 * min(1.0, aspect / PLATE_ASPECT),
        short_uri=shorten(sample.uri.rstrip("/").rpartition("/")[2], 44),
        found=_found(sample),
        outlines=[_outline(box, sample, colours) for box in reversed(sample.boxes)],  # the best is drawn last, on top
        tags=[_tag(box, sample, colours) for box in reversed(sample.boxes[:MAX_TAGS])],
    )


def _alt(sample: SampledRow) -> str:
    name = printable(sample.uri.rpartition("/")[2])
    if sample.label is not None:
        return f"{name}: {printable(sample.label)}"
    return f"{name}: {_found(sample)}"


def _found(sample: SampledRow) -> str:
    counts = Counter(box.label for box in sample.boxes).most_common()
    names = [f"{number} × {shorten(label, 40)}" if number > 1 else shorten(label, 40) for label, number in counts]
    return ", ".join(names[:MAX_TAGS]) + (", …" if len(names) > MAX_TAGS else "") if names else "no box"


def _outline(box: Box, sample: SampledRow, colours: Mapping[str, str]) -> Outline:
    x0, y0, x1, y1 = _percent_corners(box, sample)
    text = f"{printable(box.label)} {box.score:.3f}"
    return Outline(x0, y0, max(x1 - x0, 0), max(y1 - y0, 0), colours.get(box.label, COLOURS[0]), text)


def _tag(box: Box, sample: SampledRow, colours: Mapping[str, str]) -> Tag:
    x0, y0, x1, _ = _percent_corners(box, sample)
    across = f"left:{x0:.2f}%" if x0 <= 60 else f"right:{100 - x1:.2f}%"
    room_above = "transform:translateY(-100%)" if y0 > 10 else ""
    style = f"{across};top:{y0:.2f}%;{room_above}"
    return Tag(f"{shorten(box.label, 24)} {box.score:.2f}", colours.get(box.label, COLOURS[0]), style)


def _percent_corners(box: Box, sample: SampledRow) -> tuple[float, float, float, float]:
    def inside(value: float, side: int) -> float:
        return round(min(100.0, max(0.0, 100 * value / max(side, 1))), 3)

    return (
        inside(box.x0, sample.width),
        inside(box.y0, sample.height),
        inside(box.x1, sample.width),
        inside(box.y1, sample.height),
    )
