"""The table that `tench plan` and `tench submit` show, from a source that was listed."""

import io

import pytest
from colours import make_image
from rich.console import Console
from run_specs import make_spec
from tar_files import pack

from job.results.preview import preview
from tench.launcher.submit.preview_table import preview_table


def shown(spec):
    text = io.StringIO()
    Console(file=text, width=200).print(preview_table(preview(spec, None)))
    return dict(line.split(maxsplit=1) for line in text.getvalue().splitlines() if not line.startswith(" "))


@pytest.mark.parametrize(
    ("label_from", "words"),
    [(".cls", "1 of 3 images from .cls, 2 without"), ("none", "not asked for (source.label_from)")],
)
def test_it_says_how_many_images_have_a_label_and_how_many_have_none(tmp_path, label_from, words):
    images = [(f"{number}.png", make_image("red")) for number in range(3)]
    (tmp_path / "a.tar").write_bytes(pack([images[0], ("0.cls", b"red"), *images[1:]]))
    source = {"kind": "webdataset", "uri": str(tmp_path / "a.tar"), "label_from": label_from}

    rows = shown(make_spec(tmp_path, source=source))

    assert rows["labels"].strip() == words
