"""Publishing: the page of a real run, with each picture read once more, and no run that fails for want of a page."""

import datetime
import html
import io
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from colours import write_images
from PIL import Image
from run_specs import make_spec, run_here

from job.plan.manifest import Manifest
from job.plan.plan import run_paths, versions
from job.plan.records import load_plan
from job.report.gallery import thumbnail
from job.report.publish import ENOUGH, Attempt, publish_report, thumbnails
from job.report.report import Report
from job.results.run_listing import committed_shards
from job.results.run_summary import RunSummary
from job.spec.limits import Limits
from job.stages.images import Reading, decode, read_image
from job.stores.storage import open_folder

BAD = {"blue/bad.png": b"no image", "red/cut.png": b"\x89PNG\r\n\x1a\n"}


class Finished:
    """A run whose every shard is committed, as the driver has it before it writes the page."""

    def __init__(self, spec):
        self.spec, paths = spec, run_paths(spec)
        self.folder = open_folder(paths.uri)
        plan = load_plan(self.folder)
        self.manifest = Manifest(paths, plan.parts)
        self.report = Report(spec.model.task, spec.report.samples, plan.run_id)
        self.summary = RunSummary(spec, plan, self.folder, self.report.add)
        self.summary.add_committed(committed_shards(self.folder, paths, plan))
        self.page = Path(paths.uri, "report.html")

    def publish(self, **attempt):
        started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=61)
        attempt = Attempt("local", 3, started, **attempt)
        publish_report(self.report, self.spec, self.manifest, self.summary, attempt)

    def pictures(self):
        return thumbnails(self.spec, self.manifest, self.report.sampled())

    @property
    def words(self):
        """The page's text."""
        body = self.page.read_text().partition("<body>")[2]
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def make_run_spec(folder, max_fraction):
    return make_spec(folder, rows_per_file=6, report={"samples": 5}, errors={"max_fraction": max_fraction})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """22 images in four shards, two of them bad."""
    folder = tmp_path_factory.mktemp("run")
    write_images(folder / "images", count=20)
    for name, data in BAD.items():
        (folder / "images" / name).write_bytes(data)
    run_here(make_run_spec(folder, max_fraction=0.5))
    return folder


@pytest.fixture
def finished(folder):
    finished = Finished(make_run_spec(folder, max_fraction=0.5))
    finished.page.unlink(missing_ok=True)
    return finished


@pytest.fixture(params=["gone", "no image"])
def spoilt(finished, request):
    """A sampled image that was changed since."""
    sample = finished.report.sampled()[2]
    path = Path(sample.uri)
    data = path.read_bytes()
    path.unlink() if request.param == "gone" else path.write_bytes(BAD["blue/bad.png"])
    yield sample
    path.write_bytes(data)


def test_each_picture_is_of_the_image_of_its_row(finished):
    sampled = finished.report.sampled()
    assert len({sample.shard for sample in sampled}) > 1
    limits = Limits.of(finished.spec.errors)
    wanted = {sample.key: thumbnail(decode(Path(sample.uri).read_bytes(), limits)) for sample in sampled}
    assert finished.pictures() == wanted
    some = sampled[1::3]
    assert thumbnails(finished.spec, finished.manifest, some) == {sample.key: wanted[sample.key] for sample in some}


def test_the_page_shows_the_pictures(finished):
    finished.publish()
    page = finished.page.read_text()
    assert page.count("data:image/webp;base64,") >= len(finished.report.sampled()) > 5
    assert "picture not fetched" not in page


def test_an_image_that_cannot_be_read_again_has_no_picture(finished, spoilt):
    assert finished.pictures().keys() == {sample.key for sample in finished.report.sampled()} - {spoilt.key}
    finished.publish()
    assert "picture not fetched" in finished.words
    assert "data:image/webp;base64," in finished.page.read_text()


def test_the_page_has_the_figures_of_the_run(finished):
    finished.publish(images_per_second=432.1, bottleneck="decode (it is)", device="cpu", precision="float32")
    words = finished.words
    spec, uri = finished.spec, finished.folder.uri
    said = [run_paths(spec).run_id, spec.name, spec.model.name, spec.source.uri, uri, "432", "decode (it is)"]
    said += [
        "Images 22",
        "Failed 2 9.1 % of the images",
        "top-1",
        "1 h 01 min",
        "local",
        "3 replicas",
        "cpu",
        "float32",
    ]
    assert [text for text in said if text not in words] == []
    assert [version for version in versions().values() if version not in words] == []
    assert '"rows_per_file": 6' in words
    assert "The run failed" not in words


def test_an_attempt_that_had_nothing_to_do_has_no_rate(finished):
    finished.publish()
    assert "Images a second" not in finished.words


def test_the_page_of_a_failed_run_says_why(folder):
    finished = Finished(make_run_spec(folder, max_fraction=0.05))
    finished.publish()
    assert f"The run failed. {finished.summary.problem()}" in finished.words
    assert "2 of 22 images failed" in finished.words


def test_a_store_that_refuses_the_page_is_logged(finished, caplog):
    finished.page.mkdir()
    finished.publish()
    finished.page.rmdir()
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.getMessage() == f"the report is not written: {finished.page}: Is a directory"


@pytest.mark.parametrize("state", ["gone", "refused"])
def test_a_manifest_that_cannot_be_read_again_is_logged(finished, caplog, state):
    manifest = Path(finished.folder.uri, finished.manifest.paths.manifest(0))
    aside = manifest.rename(manifest.with_suffix(".aside"))
    if state == "refused":
        manifest.mkdir()
    try:
        finished.publish()
    finally:
        aside.replace(manifest) if state == "gone" else (manifest.rmdir(), aside.rename(manifest))
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.getMessage().startswith(f"the report is not written: {manifest}: ")


def test_a_large_jpeg_is_decoded_smaller_for_its_picture():
    """Of the same proportions, upright where it is turned, and alike to the eye."""
    large = Image.effect_noise((150, 100), 60).convert("RGB").resize((3000, 2000), Image.Resampling.BICUBIC)
    exif, limits = Image.Exif(), Limits(10**8, 10**8)
    exif[0x0112] = 6
    for options in ({}, {"progressive": True}, {"exif": exif}):
        buffer = io.BytesIO()
        large.save(buffer, "JPEG", quality=90, **options)
        reserved = []
        whole = read_image(buffer.getvalue(), Reading(limits, "apply")).pixels
        small = read_image(buffer.getvalue(), Reading(limits, "apply", enough=ENOUGH), reserved.append).pixels
        assert ENOUGH <= max(small.shape) < 2 * ENOUGH
        assert reserved[-1] < 7 * 6_000_000
        first, second = (np.asarray(Image.open(io.BytesIO(thumbnail(each)))).astype(int) for each in (whole, small))
        assert first.shape == second.shape
        assert np.abs(first - second).mean() < 4


def test_a_cmyk_jpeg_is_decoded_smaller_too():
    buffer = io.BytesIO()
    Image.new("CMYK", (3000, 1000), (10, 200, 30, 0)).save(buffer, "JPEG")
    small = read_image(buffer.getvalue(), Reading(Limits(10**8, 10**8), enough=ENOUGH)).pixels
    assert small.shape == (250, 750, 3)
