"""A pen that draws flat shapes on a transparent square in unit coordinates; used by scripts.demo.motifs.

x grows to the right, y downwards, both from 0 to 1. It knows nothing of what is drawn.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Pen:
    """Draws on its own RGBA `image` of `side` by `side` pixels."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        self._draw.polygon([(x * self.side, y * self.side) for x, y in points], fill=fill)

    def disc(self, centre: Point, rx: float, ry: float, fill: Colour) -> None:
        self._draw.ellipse(self._around(centre, rx, ry), fill=fill)

    def ring(self, centre: Point, radius: float, width: float, fill: Colour) -> None:
        self._draw.ellipse(self._around(centre, radius, radius), outline=fill, width=self._pixels(width))

    def wedge(self, centre: Point, radii: Point, degrees: tuple[float, float], fill: Colour) -> None:
        """Fill a slice of an ellipse; degrees run clockwise from three o'clock."""
        self._draw.pieslice(self._around(centre, *radii), *degrees, fill=fill)

    def arc(self, centre: Point, radii: Point, degrees: tuple[float, float], stroke: tuple[float, Colour]) -> None:
        width, fill = stroke
        self._draw.arc(self._around(centre, *radii), *degrees, fill=fill, width=self._pixels(width))

    def bar(self, corner: Point, opposite: Point, fill: Colour, radius: float = 0.0) -> None:
        """Fill an upright rectangle from its upper left to its lower right corner."""
        box = (corner[0] * self.side, corner[1] * self.side, opposite[0] * self.side, opposite[1] * self.side)
        self._draw.rounded_rectangle(box, radius * self.side, fill=fill)

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        self._draw.line(
            [(x * self.side, y * self.side) for x, y in points], fill=fill, width=self._pixels(width), joint="curve"
        )

    def _around(self, centre: Point, rx: float, ry: float) -> tuple[float, float, float, float]:
        x, y = centre
        return ((x - rx) * self.side, (y - ry) * self.side, (x + rx) * self.side, (y + ry) * self.side)

    def _pixels(self, width: float) -> int:
        return max(1, round(width * self.side))


def tint(rng: np.random.Generator, base: Colour, spread: int = 28) -> Colour:
    """Return `base` moved by at most `spread` a channel, with a common part so that it stays the same hue."""
    common = rng.integers(-spread, spread + 1)
    moved = np.asarray(base) + common + rng.integers(-spread // 3, spread // 3 + 1, 3)
    red, green, blue = np.clip(moved, 0, 255).tolist()
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """Return `colour` made darker (factor below 1) or lighter."""
    red, green, blue = (min(255, int(channel * factor)) for channel in colour)
    return red, green, blue
