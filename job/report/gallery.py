"""The pictures of the report: a picked row and its thumbnail as a card, with geometry and words ready to lay out.

`page` gives cards to the template. Boxes stay vectors over the thumbnail, in percent of its sides, so that they are
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

from job.report.sampled_rows import Box, Pick
from job.terminal.wording import printable, shorten

THUMBNAIL_EDGE = 320  # pixels of the longer side: a card is 150 to 290 wide
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
class Card:
    """One picture of a gallery and what is said of it."""

    pick: Pick
    image: str | None  # a data: URI
    alt: str
    width: float  # percent of the plate
    short_uri: str
    found: str  # the boxes by name: `2 × bicycle, car`
    outlines: Sequence[Outline]
    tags: Sequence[Tag]

    @property
    def is_wrong(self) -> bool:
        return self.pick.expected is not None and self.pick.expected != self.pick.label


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


def to_card(pick: Pick, thumbnail_webp: bytes | None, colours: Mapping[str, str]) -> Card:
    """The card of a row; without a thumbnail (the image could not be fetched again) it says so."""
    aspect = pick.width / max(pick.height, 1)
    data = base64.b64encode(thumbnail_webp).decode("ascii") if thumbnail_webp else None
    return Card(
        pick=pick,
        image=f"data:image/webp;base64,{data}" if data else None,
        alt=_alt(pick),
        width=100 * min(1.0, aspect / PLATE_ASPECT),
        short_uri=shorten(pick.uri.rstrip("/").rpartition("/")[2], 44),
        found=_found(pick),
        outlines=[_outline(box, pick, colours) for box in reversed(pick.boxes)],  # the best is drawn last, on top
        tags=[_tag(box, pick, colours) for box in reversed(pick.boxes[:MAX_TAGS])],
    )


def _alt(pick: Pick) -> str:
    name = printable(pick.uri.rpartition("/")[2])
    if pick.label is not None:
        return f"{name}: {printable(pick.label)}"
    return f"{name}: {_found(pick)}"


def _found(pick: Pick) -> str:
    counts = Counter(box.label for box in pick.boxes).most_common()
    names = [f"{number} × {shorten(label, 40)}" if number > 1 else shorten(label, 40) for label, number in counts]
    return ", ".join(names[:MAX_TAGS]) + (", …" if len(names) > MAX_TAGS else "") if names else "no box"


def _outline(box: Box, pick: Pick, colours: Mapping[str, str]) -> Outline:
    x0, y0, x1, y1 = _percent_corners(box, pick)
    text = f"{printable(box.label)} {box.score:.3f}"
    return Outline(x0, y0, max(x1 - x0, 0), max(y1 - y0, 0), colours.get(box.label, COLOURS[0]), text)


def _tag(box: Box, pick: Pick, colours: Mapping[str, str]) -> Tag:
    x0, y0, x1, _ = _percent_corners(box, pick)
    across = f"left:{x0:.2f}%" if x0 <= 60 else f"right:{100 - x1:.2f}%"
    room_above = "transform:translateY(-100%)" if y0 > 10 else ""
    style = f"{across};top:{y0:.2f}%;{room_above}"
    return Tag(f"{shorten(box.label, 24)} {box.score:.2f}", colours.get(box.label, COLOURS[0]), style)


def _percent_corners(box: Box, pick: Pick) -> tuple[float, float, float, float]:
    def inside(value: float, side: int) -> float:
        return round(min(100.0, max(0.0, 100 * value / max(side, 1))), 3)

    return (
        inside(box.x0, pick.width),
        inside(box.y0, pick.height),
        inside(box.x1, pick.width),
        inside(box.y1, pick.height),
    )
