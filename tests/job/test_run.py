"""A whole run, on either engine: the same files, every image once, resumable, and honest about what failed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from colours import make_image, write_images
from run_specs import files_below, make_spec, read_predictions, run_here
from tench_command import COMMAND, environment

from job.errors import ModelError, PlanChanged, PreflightError, RunFailed, SourceError
from job.results.verify import verify

ENGINES = ("local", "ray")
ENGINES_SLOW = ("local", pytest.param("ray", marks=pytest.mark.slow))  # half a minute of Ray's
SHARDS = [f"predictions/shard-{shard:05d}.parquet" for shard in range(5)]


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", count=45)
    return tmp_path


@pytest.mark.parametrize("engine", ENGINES)
def test_every_image_is_labelled_once_and_the_folder_is_as_promised(folder, engine):
    result = run_here(make_spec(folder), engine)
    predictions = read_predictions(result.paths)
    assert predictions["uri"].to_pylist() == sorted(str(path) for path in (folder / "images").rglob("*.png"))
    assert predictions["label"].to_pylist() == predictions["expected"].to_pylist()
    assert {len(top) for top in predictions["top_labels"].to_pylist()} == {2}
    assert predictions.column_names == [
        *("uri", "expected", "error", "width", "height", "image_notes"),
        *("label", "label_index", "score", "top_labels", "top_indices", "top_scores"),
    ]
    others = ["_SUCCESS", "manifest/part-00000.manifest", "plan.json", "progress.json", "report.html"]
    assert files_below(result.uri) == sorted([*others, *SHARDS])
    assert verify(result.uri).rows == 45
    assert result.metrics.top1 == 1.0
    progress = json.loads(Path(result.uri, "progress.json").read_text())
    assert (progress["rows_done"], progress["failed"], progress["total"]) == (45, 0, 45)


@pytest.mark.parametrize("engine", ENGINES_SLOW)
def test_bad_images_become_rows_and_the_rest_is_unaffected(folder, engine, deadly_images, tmp_path_factory):
    bad = folder / "images" / "red"
    (bad / "empty.png").write_bytes(b"")
    (bad / "text.png").write_text("no image")
    (bad / "cut.png").write_bytes(make_image("red")[:60])
    (bad / "deadly.png").write_bytes(deadly_images)
    spec = make_spec(folder, errors={"max_fraction": 0.5})
    codes = run_until_it_survives(folder, spec, engine)
    # In one process with the driver the deadly image takes the run with it, once; Ray loses a worker.
    assert codes == ([-signal.SIGSEGV, 0] if engine == "local" else [0])
    result = run_here(spec)
    rows = {os.path.basename(row["uri"]): row for row in read_predictions(result.paths).to_pylist() if row["error"]}
    kinds = {name: row["error"].split(":")[0] for name, row in rows.items()}
    assert kinds == {"empty.png": "empty", "text.png": "not-an-image", "cut.png": "truncated", "deadly.png": "crashed"}
    assert all(row["label"] is None and row["width"] is None for row in rows.values())
    assert (result.rows, verify(result.uri).failed) == (49, 4)


@pytest.mark.parametrize("engine", ENGINES_SLOW)
def test_a_model_that_cannot_be_loaded_ends_the_run_at_its_first_try(folder, engine, monkeypatch):
    monkeypatch.setenv("COLOURS_LOG", str(folder / "log"))
    model = {"kind": "python", "name": "colours:Refusing"}
    with pytest.raises(ModelError, match=r"^these weights fit no model$"):
        run_here(make_spec(folder, model=model), engine)
    assert (folder / "log").read_text() == "refused\n"


def run_until_it_survives(folder, spec, engine):
    """Exit codes of attempts in processes of their own."""
    (folder / "job.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    command = [*COMMAND, "run", "job.yaml", "--engine", engine]
    codes = [1]
    while codes[-1] and len(codes) < 5:
        codes.append(subprocess.run(command, cwd=folder, env=environment(), check=False).returncode)
    return codes[1:]


def test_too_many_failures_fail_the_run_after_everything_readable_is_committed(folder):
    for number in range(5):
        (folder / "images" / "red" / f"bad-{number}.png").write_bytes(b"no image" if number else b"")
    spec = make_spec(folder)
    with pytest.raises(RunFailed, match=r"5 of 50 images failed \(4 not-an-image, 1 empty\), 10\.00% where .* 1\.00%"):
        run_here(spec)
    (run,) = (folder / "runs").iterdir()
    assert files_below(run / "predictions") == [f"shard-{shard:05d}.parquet" for shard in range(5)]
    assert not (run / "_SUCCESS").exists()
    assert "not-an-image" in (run / "report.html").read_text()
    lenient = make_spec(folder, errors={"max_fraction": 0.1})
    assert run_here(lenient).failed == 5


def test_a_resumed_run_reads_no_image_of_a_committed_shard(folder):
    spec = make_spec(folder)
    paths = run_here(spec).paths
    Path(paths.uri, "_SUCCESS").unlink()
    Path(paths.uri, paths.predictions(3)).unlink()
    listed = sorted((folder / "images").rglob("*.png"))
    for number, path in enumerate(listed):
        if not 30 <= number < 40:
            path.unlink()
    result = run_here(spec)
    assert result.rows == 45
    assert result.failed == 0
    assert result.metrics.top1 == 1.0


def test_a_finished_run_that_is_run_again_says_what_it_said_at_first(folder):
    spec = make_spec(folder)
    first = run_here(spec)
    again = run_here(spec)
    assert again.summary() == first.summary()
    assert again.summary()[1] == "top-1 100.0 %, top-2 100.0 % of 45 images with an expected label"
    assert again.summary()[-1] == f"report: {first.uri}/report.html"


def test_a_success_that_was_cut_short_is_told_and_not_taken_for_a_finished_run(folder):
    spec = make_spec(folder)
    success = Path(run_here(spec).uri, "_SUCCESS")
    success.write_bytes(success.read_bytes()[:100])
    with pytest.raises(RunFailed, match="_SUCCESS is not Tench's: "):
        run_here(spec)


def test_an_image_that_is_gone_since_the_plan_is_missing_and_never_a_silent_null(folder):
    spec = make_spec(folder, errors={"max_fraction": 0.1})
    paths = run_here(spec).paths
    for name in ("_SUCCESS", paths.predictions(0)):
        Path(paths.uri, name).unlink()
    gone = sorted((folder / "images").rglob("*.png"))[4]
    gone.unlink()
    predictions = read_predictions(run_here(spec).paths).to_pylist()
    assert [row["error"].split(":")[0] for row in predictions if row["error"]] == ["missing"]
    assert predictions[4]["uri"] == str(gone)


def test_a_changed_spec_under_the_same_run_id_is_refused_and_leaves_the_run_alone(folder):
    paths = run_here(make_spec(folder), run_id="mine").paths
    before = {name: Path(paths.uri, name).stat().st_mtime_ns for name in files_below(paths.uri)}
    with pytest.raises(PlanChanged, match=r"model\.top_k: 2 → 3"):
        run_here(make_spec(folder, model={"kind": "python", "name": "colours:make", "top_k": 3}), run_id="mine")
    assert {name: Path(paths.uri, name).stat().st_mtime_ns for name in files_below(paths.uri)} == before


def test_a_source_that_grew_does_not_change_a_frozen_run(folder):
    spec = make_spec(folder)
    paths = run_here(spec).paths
    Path(paths.uri, "_SUCCESS").unlink()
    (folder / "images" / "red" / "new.png").write_bytes(make_image("red"))
    assert run_here(spec).rows == 45


def test_an_empty_source_writes_nothing(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(SourceError):
        run_here(make_spec(tmp_path))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("engine", ENGINES_SLOW)
def test_a_model_that_cannot_be_made_ends_the_run_with_its_own_words(folder, engine):
    with pytest.raises(ModelError, match="paint_it_black"):
        run_here(make_spec(folder, model={"kind": "python", "name": "colours:paint_it_black"}), engine)


def test_several_replicas_share_the_work(folder):
    result = run_here(make_spec(folder, compute={"batch_size": 4, "concurrency": 3}))
    assert verify(result.uri).rows == 45
    assert result.metrics.top1 == 1.0


@pytest.mark.parametrize("engine", ENGINES_SLOW)
def test_source_and_output_may_be_buckets(s3, engine):
    for number in range(25):
        s3.put(f"photos/red/{number} ü#%.png", make_image("red"))
    spec = make_spec(s3.uri, images="photos/")
    result = run_here(spec, engine)
    predictions = read_predictions(result.paths)
    assert sorted(predictions["uri"].to_pylist()) == sorted(f"{s3.uri}/photos/red/{n} ü#%.png" for n in range(25))
    assert set(predictions["label"].to_pylist()) == {"red"}
    assert verify(result.uri).rows == 25
    assert run_here(spec, engine).success == result.success


def test_verify_finds_a_file_that_was_changed_and_one_that_is_gone(folder):
    paths = run_here(make_spec(folder)).paths
    Path(paths.uri, paths.predictions(1)).unlink()
    other = Path(paths.uri, paths.predictions(2))
    other.write_bytes(other.read_bytes() + b" ")
    with pytest.raises(RunFailed) as caught:
        verify(paths.uri)
    assert "shard-00001.parquet is gone" in str(caught.value)
    assert "shard-00002.parquet was changed" in str(caught.value)


def test_a_ray_that_is_not_installed_is_a_preflight_error(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PreflightError, match="Ray did not start"):
        run_here(make_spec(folder), "ray")
    assert not (folder / "runs").exists()
