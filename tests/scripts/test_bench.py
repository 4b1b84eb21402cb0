import io
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from scripts.bench import decode_costs, plan_memory, startup, table
from scripts.bench.__main__ import main
from scripts.bench.contenders import check
from scripts.bench.images import ImageSet, complete
from scripts.bench.process import ContenderError, run_to_end
from scripts.bench.program import Options
from scripts.bench.record import RECORD, Mark, batch_done, read_marks
from scripts.bench.result import Run, document, medians, ratio, steady_rate, verdicts


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    image_set = ImageSet(40)
    folder = complete(tmp_path_factory.mktemp("images"), image_set)
    return image_set, folder


def test_images_are_jpegs_of_the_size_a_photograph_of_imagenet_has(images):
    image_set, folder = images
    for path in image_set.paths(folder):
        with Image.open(path) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", (500, 375), "RGB")
            assert image.layer[0][1:3] == (2, 2), "luminance is sampled twice as finely, which is 4:2:0"
        assert 50_000 < path.stat().st_size < 120_000


@pytest.mark.slow
def test_images_all_differ_and_come_out_of_the_seed_alone(images, tmp_path):
    image_set, folder = images
    drawn = [path.read_bytes() for path in image_set.paths(folder)]
    again = [path.read_bytes() for path in image_set.paths(complete(tmp_path / "again", image_set))]
    other = [path.read_bytes() for path in ImageSet(40, seed=1).paths(complete(tmp_path / "b", ImageSet(40, seed=1)))]
    assert drawn == again
    assert len(set(drawn + other)) == 80


def test_complete_images_are_left_alone_and_an_unfinished_set_is_drawn_again(images, tmp_path):
    image_set, _ = images
    paths = image_set.paths(complete(tmp_path, image_set))
    before = [path.stat().st_mtime_ns for path in paths]
    complete(tmp_path, image_set)
    assert [path.stat().st_mtime_ns for path in paths] == before
    (tmp_path / "40-complete.json").unlink()
    paths[7].unlink()
    complete(tmp_path, image_set)
    assert all(path.exists() for path in paths)


def test_a_record_says_how_many_images_were_done_by_when(tmp_path, monkeypatch):
    monkeypatch.setenv(RECORD, str(tmp_path / "record"))
    batch_done(256)
    batch_done(44)
    first, second = read_marks(tmp_path / "record")
    assert (first.images, second.images) == (256, 300)
    assert first.at_s < second.at_s


def test_the_steady_rate_leaves_out_what_was_decoded_while_the_model_loaded():
    backlog = [Mark(10 + 0.001 * number, 100 * (number + 1)) for number in range(20)]
    steady = [Mark(10.019 + 0.5 * (number + 1), 2000 + 100 * (number + 1)) for number in range(30)]
    assert steady_rate([*backlog, *steady]) == pytest.approx(200)


def test_the_steady_rate_of_blocks_of_several_batches_is_that_of_whole_blocks():
    blocks = [
        Mark(float(block) + 0.001 * part, 400 * block + 100 * (part + 1)) for block in range(10) for part in range(4)
    ]
    assert steady_rate(blocks) == pytest.approx(400)


def test_the_steady_rate_of_even_batches_counts_all_but_the_first():
    assert steady_rate([Mark(5 + 0.25 * number, 50 * (number + 1)) for number in range(12)]) == pytest.approx(200)


@pytest.mark.parametrize("batches", [1, 2])
def test_there_is_no_steady_rate_of_a_batch_or_two(batches):
    assert steady_rate([Mark(float(number), number + 1) for number in range(batches)]) is None


def make_run(contender, model="stub", **figures):
    figures = {"images": 1000, "whole": 100.0, "start_up_s": 2.0, "steady": 200.0, "peak_bytes": 10**9, **figures}
    return Run(contender=contender, model=model, **figures)


def test_medians_are_of_one_contender_and_one_model():
    runs = [make_run("local", whole=whole) for whole in (90.0, 500.0, 110.0)]
    runs += [make_run("local", "mobilenet_v3_small", whole=7.0, steady=None, peak_bytes=None)]
    stub, mobilenet = medians(runs)
    assert (stub.whole, stub.peak_bytes) == (110.0, 10**9)
    assert (mobilenet.whole, mobilenet.steady, mobilenet.peak_bytes) == (7.0, None, None)


def test_verdicts_tell_what_is_met_and_what_is_short():
    runs = [
        make_run("plain", whole=60.0),
        make_run("dataloader", whole=400.0),
        make_run("local", whole=590.0, steady=700.0),
        make_run("ray", whole=239.0),
        make_run("bare", steady=1000.0),
        make_run("plain", "mobilenet_v3_small", whole=1.0),
    ]
    met = {(each.ours, each.other): value >= each.times for each, value in verdicts(runs)}
    assert met == {
        ("local", "plain"): True,
        ("local", "dataloader"): False,
        ("ray", "plain"): False,
        ("local", "bare"): True,
        ("ray", "bare"): False,
    }


def test_the_bare_loop_stands_beside_every_model():
    runs = [make_run("bare", steady=1000.0), make_run("local", "mobilenet_v3_small", steady=250.0)]
    assert ratio(runs, "mobilenet_v3_small", "local", "steady", "bare") == 0.25
    assert ratio(runs, "stub", "local", "steady", "bare") is None
    assert [each["met"] for each in document(runs, {})["requirements"]] == []


def test_a_short_ratio_is_marked():
    console = Console(file=io.StringIO(), width=100)
    table.print_results(console, [make_run("plain", whole=60.0), make_run("local", whole=300.0)])
    text = console.file.getvalue()
    assert "✗ short local ÷ plain, whole: 5.00 (at least 8)" in text
    assert "✓" not in text


@pytest.mark.parametrize(
    ("names", "labels", "complaint"),
    [
        (["000000.jpg"], ["3"], "wrote 1 rows"),
        (["000000.jpg", "000000.jpg"], ["3", "4"], "wrote 2 rows, not the 2 images once each"),
        (["000000.jpg", "000001.jpg"], ["3", None], "1 rows without a label"),
    ],
)
def test_wrong_work_is_refused(tmp_path, names, labels, complaint):
    options = Options(tmp_path / "in", tmp_path / "out", "stub", 8)
    options.output.mkdir()
    paths = [f"{tmp_path}/in/{name}" for name in names]
    labels = pa.array(labels, pa.string())
    pq.write_table(pa.table({"path": paths, "predicted_label": labels}), options.output / "x.parquet")
    with pytest.raises(ContenderError, match=complaint):
        check("plain", options, ImageSet(2).paths(options.images), [Mark(1.0, 2)])


def test_fewer_predictions_than_images_are_refused(tmp_path):
    options = Options(tmp_path / "in", tmp_path / "out", "stub", 8)
    with pytest.raises(ContenderError, match="bare predicted 39 images of 40"):
        check("bare", options, ImageSet(40).paths(options.images), [Mark(1.0, 39)])


def test_a_contender_that_fails_is_reported_with_the_end_of_its_log(tmp_path):
    command = [sys.executable, "-c", "print('out of paper'); raise SystemExit(3)"]
    with pytest.raises(ContenderError, match=r"ended with code 3(?s:.*)out of paper"):
        run_to_end(command, {}, tmp_path / "logs" / "log")


def test_memory_is_of_the_process_and_its_children(tmp_path):
    hold = "import time; held = b'x' * 150_000_000; time.sleep(2)"
    spawn = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    finished = run_to_end([sys.executable, "-c", spawn], {}, tmp_path / "log")
    assert finished.peak_bytes is None or 150e6 < finished.peak_bytes < 300e6


@pytest.mark.slow
def test_planning_many_rows_takes_little_more_memory_than_planning_few():
    few, many = plan_memory.measure(10_000), plan_memory.measure(300_000)
    assert many < few + 200e6
    assert many < plan_memory.LIMIT_BYTES


@pytest.mark.slow
def test_the_steps_of_a_start_are_parts_of_the_whole_process():
    steps = startup.measure("local")
    assert list(steps)[:-1] == [name for name, _ in startup.GROUPS["local"]]
    assert 0 < sum(steps.values()) - steps["process"] < steps["process"]


def test_what_decoding_costs_is_told_for_the_ways_that_a_build_knows(images):
    _, folder = images
    assert 0 < decode_costs.measure(folder, "exact") < 1
    assert 0 < decode_costs.measure(folder, "scaled") < 1
    assert decode_costs.measure(folder, "backwards") is None


@pytest.mark.slow
def test_contenders_are_measured_on_the_same_images(tmp_path):
    arguments = ["--images", "40", "--batch-size", "8", "--models", "stub", "--folder", str(tmp_path)]
    assert main([*arguments, "--contenders", "dataloader", "local", "bare"]) == 0
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["images"]["count"] == 40
    assert document["machine"]["cores"] >= 1
    assert "torch" in document["versions"]
    assert [run["contender"] for run in document["medians"]] == ["dataloader", "local", "bare"]
    for run in document["runs"]:
        assert run["images"] == 40
        assert 0 < run["start_up_s"] < 40 / run["whole"], "the first batch is predicted within the process's life"
    assert {each["other"] for each in document["requirements"]} <= {"dataloader", "bare"}
    (uris,) = [pq.read_table(path)["uri"] for path in (tmp_path / "out").glob("local-stub/*/predictions/*.parquet")]
    assert len(set(uris.to_pylist())) == 40
