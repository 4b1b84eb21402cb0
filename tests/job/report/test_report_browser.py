"""The report in a real browser: whichever Chromium is installed, without a network."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from job.report.gallery import thumbnail
from job.report.page import RunFigures
from job.report.report import Report
from job.results.evaluation import Evaluation

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on PATH")

QUIET = [
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ["tench", "church", "a-class-name-" + "without-any-space" * 8, "<script>alert(1)</script>"]
SIZES = [(500, 375), (375, 500), (1600, 400), (200, 900)]  # width, height
ROWS = 60


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *sandbox])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    paths = {}
    for task, table in (("classify", classifications()), ("detect", detections())):
        report, evaluation = Report(task, 8, f"{task}-1"), Evaluation()
        report.add(table, 0)
        evaluation.add(table)
        thumbnails = {sample.key: thumbnail(picture(sample.width, sample.height)) for sample in report.sampled()}
        paths[task] = folder / f"{task}.html"
        paths[task].write_text(report.render(figures(evaluation), thumbnails), encoding="utf-8")
    return paths


def classifications() -> pa.Table:
    label = [NAMES[i % len(NAMES)] for i in range(ROWS)]
    return pa.table(
        common()
        | {
            "expected": [NAMES[i % len(NAMES)] if i % 5 else NAMES[0] for i in range(ROWS)],
            "label": label,
            "score": pa.array(np.linspace(0.1, 1.0, ROWS), pa.float32()),
            "top_labels": [[name, "other"] for name in label],
            "top_scores": pa.array([[0.7, 0.2]] * ROWS, pa.list_(pa.float32())),
        }
    )


def detections() -> pa.Table:
    """A box from a quarter to a half of each picture's width and height, and for every third picture none."""
    boxes = [[[w / 4, h / 4, w / 2, h / 2]] if i % 3 else [] for i, (w, h) in enumerate(sizes())]
    return pa.table(
        common()
        | {
            "boxes": pa.array(boxes, pa.list_(pa.list_(pa.float32()))),
            "labels": pa.array([[NAMES[i % 4]] * len(own) for i, own in enumerate(boxes)], pa.list_(pa.string())),
            "scores": pa.array([[0.95] * len(own) for own in boxes], pa.list_(pa.float32())),
        }
    )


def sizes() -> list[tuple[int, int]]:
    return [SIZES[i % len(SIZES)] for i in range(ROWS)]


def common() -> dict[str, Any]:
    return {
        "uri": [f"s3://bucket/{'a-long-folder-name' * 6}/{i}.jpg" for i in range(ROWS)],
        "error": pa.array([f"missing: {'gone' * 30}" if i % 20 == 7 else None for i in range(ROWS)], pa.string()),
        "width": [width for width, _ in sizes()],
        "height": [height for _, height in sizes()],
    }


def picture(width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=2).astype(np.uint8)


def figures(evaluation: Evaluation) -> RunFigures:
    metrics = evaluation.metrics()
    assert metrics is not None
    return RunFigures(
        run_id="demo-0123abcd",
        name="demo",
        model="torchvision resnet18",
        source="s3://bucket/" + "a-long-folder-name" * 8,
        output="/results/demo-0123abcd",
        images=metrics.rows,
        failed=sum(metrics.failed_by_kind.values()),
        failed_by_kind=metrics.failed_by_kind,
        seconds=12.0,
        images_per_second=5.0,
        bottleneck="predict",
        started=datetime(2026, 3, 1, tzinfo=UTC),
        finished=datetime(2026, 3, 1, tzinfo=UTC),
        engine="local",
        replicas=1,
        device="cpu",
        precision="float32",
        versions={"tench": "0.1.0"},
        metrics=metrics,
        spec="name: demo\n" + "x" * 300,
    )


@pytest.mark.parametrize("task", ["classify", "detect"])
@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (390, "dark"),
        pytest.param(1280, "dark", marks=pytest.mark.slow),
        pytest.param(390, "light", marks=pytest.mark.slow),
    ],
)
def test_the_page_opens_whole_and_quiet(
    browser: Browser, reports: dict[str, Path], task: str, scheme: Any, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(reports[task].as_uri())
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [reports[task].as_uri()]
    undecoded = page.evaluate(
        "[...document.images].filter(image => !(image.complete && image.naturalWidth > 0)).length"
    )
    assert (page.locator("img").count() >= 8, undecoded) == (True, 0)
    for details in page.locator("details").all():
        details.evaluate("details => details.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    red = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert red < 60 if scheme == "dark" else red > 200
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_boxes_lie_where_they_were_found(browser: Browser, reports: dict[str, Path], width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(reports["detect"].as_uri())
    pictures = page.locator(".picture:has(svg.boxes)")
    assert pictures.count() >= 8
    for place in pictures.all():
        image = rectangle(page, place.locator("img").element_handle())
        box = rectangle(page, place.locator("svg.boxes rect").last.element_handle())
        shares = [(box["x"] - image["x"]) / image["width"], (box["y"] - image["y"]) / image["height"]]
        shares += [box["width"] / image["width"], box["height"] / image["height"]]
        assert shares == pytest.approx([0.25] * 4, abs=0.02)
        natural = place.locator("img").evaluate("image => image.naturalWidth / image.naturalHeight")
        assert image["width"] / image["height"] == pytest.approx(natural, rel=0.03)
    page.close()


def rectangle(page: Page, element: Any) -> dict[str, float]:
    """The geometry without the stroke."""
    found: dict[str, float] = page.evaluate(
        """element => {
            if (!(element instanceof SVGElement)) return element.getBoundingClientRect().toJSON();
            const box = element.getBBox(), svg = element.ownerSVGElement.getBoundingClientRect();
            return {x: svg.x + box.x, y: svg.y + box.y, width: box.width, height: box.height};
        }""",
        element,
    )
    return found


def test_folded_parts_open_from_the_keyboard(browser: Browser, reports: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(reports["classify"].as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.parentElement.open") is True
    page.close()


def test_wrong_ones_stand_beside_what_was_expected(browser: Browser, reports: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(reports["classify"].as_uri())
    items = page.locator("#wrong figure")
    assert items.count() == 8
    assert all("expected tench" in item.inner_text() for item in items.all())
    assert page.get_by_role("heading", level=1).inner_text() == "demo"
    assert page.get_by_role("heading", level=2).all_inner_texts() == [
        "Accuracy", "Classes and scores", "Samples", "Least certain", "Wrong", "Failed", "Run"
    ]  # fmt: skip
    page.close()
