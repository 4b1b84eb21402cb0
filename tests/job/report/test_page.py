import re
from pathlib import Path

import pytest

from job.report import page


@pytest.mark.parametrize(
    ("least", "nice"), [(0.25, 1), (1, 1), (1.1, 2), (7, 8), (11, 15), (151, 200), (99.5, 100), (801, 1000)]
)
def test_an_axis_ends_at_a_round_number(least: float, nice: int) -> None:
    assert page._nice_number(least) == nice


def test_text_contrasts_with_what_it_lies_on_in_both_schemes() -> None:
    style = Path(page.__file__).with_name("templates").joinpath("report.css.j2").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    for scheme in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", scheme))
        for ground in ("page", "card", "plate", "note"):
            assert contrast(colours["text"], colours[ground]) >= 7
        for ground in ("page", "card", "plate"):
            assert contrast(colours["muted"], colours[ground]) >= 4.5
        for ink in ("accent", "wrong", "right"):
            assert contrast(colours[ink], colours["card"]) >= 4.5
        for bar in ("bar", "wrong-bar"):
            assert contrast(colours[bar], colours["card"]) >= 3


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
