"""`tench collect`: what is whole is here once, what is not is refused, and a broken download goes on."""

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from colours import make_image, write_images
from flaky_proxy import FlakyProxy
from forked_command import call_tench, start_tench
from rich.console import Console
from run_specs import files_below, make_spec, run_here
from tench_command import on_a_terminal

from job.errors import RunFailed, StoreError, UsageError
from job.results.verify import verify
from job.stores.storage import open_folder
from tench.launcher.collect import collect_progress, collector
from tench.launcher.collect.collection import collect
from tench.launcher.collect.destination import Destination, Identity
from tench.launcher.collect.form import Form

IMAGES, SHARDS = 45, 5
DOCUMENTS = ["_SUCCESS", "plan.json", "report.html"]
PREDICTIONS = [f"predictions/shard-{shard:05d}.parquet" for shard in range(SHARDS)]
# GETs of a collection before the first shard: the plan, `_SUCCESS`, a listing.
FIRST = [None] * 3


@pytest.fixture
def run(tmp_path):
    """A finished run on this machine."""
    write_images(tmp_path / "images", IMAGES)
    return Path(run_here(make_spec(tmp_path)).uri)


def run_in(s3):
    """A finished run in a bucket: its URI."""
    for number in range(IMAGES):
        s3.put(f"images/red/{number:02d}.png", make_image("red", number))
    return run_here(make_spec(s3.uri)).uri


def key_of(uri, name):
    return f"{uri.split('/', 3)[3]}/{name}"


def bring(uri, to, form=None, partial=False):
    return collect(str(uri), str(to), form or Form(), partial, Console(file=StringIO()))


def tench(*arguments, cwd):
    return call_tench(*arguments, cwd=cwd)


def visible(folder):
    return [name for name in files_below(folder) if not name.startswith(".")]


def inodes(folder):
    """A file that was written again has another."""
    return {name: (Path(folder) / name).stat().st_ino for name in PREDICTIONS if (Path(folder) / name).exists()}


def test_a_run_in_a_bucket_is_here_byte_for_byte(s3, tmp_path):
    uri = run_in(s3)
    done = tench("collect", uri, "--to", "here", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/here\n"), done.stderr
    assert visible(tmp_path / "here") == sorted([*DOCUMENTS, *PREDICTIONS])
    for name in visible(tmp_path / "here"):
        assert (tmp_path / "here" / name).read_bytes() == s3.get(key_of(uri, name))
    assert "45 rows in 5 files" in done.stderr
    assert f"report: {tmp_path}/here/report.html" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.slow
def test_collecting_loads_neither_torch_nor_duckdb(run, tmp_path):
    code = """
import sys
from tench.launcher.cli import main
try:
    main(["collect", *sys.argv[1:]])
except SystemExit:
    print(sorted(sys.modules))
"""
    command = [sys.executable, "-c", code, run, "--to", "here", "--format", "csv"]
    loaded = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    assert "'tench.launcher.collect.collector'" in loaded
    assert not [name for name in ("torch", "ray", "transformers", "duckdb", "boto3", "jinja2") if f"'{name}'" in loaded]


def test_without_to_the_folder_has_the_runs_name(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    done = tench("collect", f"{run}/", cwd=tmp_path / "elsewhere")
    assert done.stdout == f"{tmp_path}/elsewhere/{run.name}\n", done.stderr
    assert visible(tmp_path / "elsewhere" / run.name) == sorted([*DOCUMENTS, *PREDICTIONS])


def test_json_for_scripts(run, tmp_path):
    done = tench("collect", run, "--to", "here", "-o", "json", cwd=tmp_path)
    found = json.loads(done.stdout)
    size = sum((run / name).stat().st_size for name in PREDICTIONS)
    assert found.pop("seconds") >= 0
    assert found == {
        "folder": f"{tmp_path}/here",
        "run_id": run.name,
        "files": PREDICTIONS,
        "rows": IMAGES,
        "bytes": size,
        "report": f"{tmp_path}/here/report.html",
        "missing": None,
        "downloaded_bytes": size,
    }


def test_a_second_call_downloads_nothing(s3, flaky, tmp_path):
    uri = run_in(s3)
    bring(uri, tmp_path / "here")
    before, asked = inodes(tmp_path / "here"), flaky.requests["GET"]
    again = bring(uri, tmp_path / "here")
    assert (again.downloaded_bytes, again.rows) == (0, IMAGES)
    assert inodes(tmp_path / "here") == before
    assert flaky.requests["GET"] - asked == len(FIRST) + len(DOCUMENTS)


def test_a_broken_download_goes_on(s3, flaky, tmp_path, monkeypatch):
    monkeypatch.setattr(collector, "THREADS", 1)  # else the first to fail ends those that are under way
    uri = run_in(s3)
    flaky.fail(*FIRST, None, None, *[403] * 100, method="GET")
    with pytest.raises(StoreError, match="access denied"):
        bring(uri, tmp_path / "here")
    flaky.fail()
    here = inodes(tmp_path / "here")
    assert list(here) == PREDICTIONS[:2]
    assert "_SUCCESS" not in visible(tmp_path / "here")
    found = bring(uri, tmp_path / "here")
    assert found.files == PREDICTIONS
    assert here.items() <= inodes(tmp_path / "here").items()
    left = sum((tmp_path / "here" / name).stat().st_size for name in PREDICTIONS if name not in here)
    assert found.downloaded_bytes == left


def test_a_store_that_fails_for_a_while_is_outlasted(s3, flaky, tmp_path):
    uri = run_in(s3)
    flaky.fail(*FIRST, 503, "cut", "reset", 500, method="GET")
    assert bring(uri, tmp_path / "here").rows == IMAGES
    assert pq.read_table(tmp_path / "here" / "predictions").num_rows == IMAGES


def test_a_file_that_was_cut_here_is_brought_again_alone(run, tmp_path):
    bring(run, tmp_path / "here")
    before = inodes(tmp_path / "here")
    cut = tmp_path / "here" / PREDICTIONS[2]
    cut.write_bytes(cut.read_bytes()[:-7])
    (tmp_path / "here" / PREDICTIONS[3]).unlink()
    bring(run, tmp_path / "here")
    after = inodes(tmp_path / "here")
    assert {
        name for name in PREDICTIONS if (tmp_path / "here" / name).read_bytes() != (run / name).read_bytes()
    } == set()
    assert {name for name in PREDICTIONS[:2] + PREDICTIONS[4:] if after[name] != before[name]} == set()


def test_a_record_that_was_cut_in_its_last_line_costs_that_file_alone(run, tmp_path):
    bring(run, tmp_path / "here")
    record = tmp_path / "here" / ".collect" / "record.jsonl"
    record.write_text(record.read_text()[:-20])
    assert 0 < bring(run, tmp_path / "here").downloaded_bytes < 7000
    assert bring(run, tmp_path / "here").downloaded_bytes == 0


def test_ctrl_c_ends_at_once_with_130_however_dead_the_network_and_the_same_call_goes_on(s3, flaky, tmp_path):
    uri = run_in(s3)
    flaky.fail(*FIRST, None, None, *[503] * 10_000, method="GET")
    process = start_tench("collect", uri, "--to", "here", cwd=tmp_path)
    while len(inodes(tmp_path / "here")) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)  # retries go on for 180 s
    assert (process.returncode, stdout) == (130, ""), stderr
    assert "interrupted; what is downloaded stays, and the same call goes on from there" in stderr
    assert "Traceback" not in stderr
    flaky.fail()
    brought = inodes(tmp_path / "here")
    assert tench("collect", uri, "--to", "here", cwd=tmp_path).returncode == 0
    assert brought.items() <= inodes(tmp_path / "here").items()
    assert visible(tmp_path / "here") == sorted([*DOCUMENTS, *PREDICTIONS])


def test_what_is_not_as_it_was_committed_is_refused_before_a_byte_is_read(s3, flaky, tmp_path):
    uri = run_in(s3)
    s3.put(key_of(uri, PREDICTIONS[1]), s3.get(key_of(uri, PREDICTIONS[2]))[:-1])
    s3.delete(key_of(uri, PREDICTIONS[3]))
    s3.put(key_of(uri, "predictions/more.parquet"), b"")
    asked = flaky.requests["GET"]
    done = tench("collect", uri, "--to", "here", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "predictions/shard-00001.parquet was changed" in done.stderr
    assert "predictions/shard-00003.parquet is gone" in done.stderr
    assert "predictions/more.parquet is no file of this run" in done.stderr
    assert "shard-00002" not in done.stderr
    assert flaky.requests["GET"] - asked == len(FIRST)
    assert not (tmp_path / "here").exists()


def test_success_must_agree_with_the_plan(run, tmp_path):
    success = json.loads((run / "_SUCCESS").read_text())
    success["files"][4]["rows"] = 6
    (run / "_SUCCESS").write_text(json.dumps(success | {"rows": 46}))
    with pytest.raises(RunFailed) as caught:
        bring(run, tmp_path / "here")
    assert "_SUCCESS counts 46 rows, the plan 45 images" in str(caught.value)
    assert "shard-00004.parquet has 6 rows in _SUCCESS and 5 in the plan" in str(caught.value)


def vouch_for(run, shard):
    """Has `_SUCCESS` name a shard's file as it is now."""
    entry = open_folder(str(run)).head(PREDICTIONS[shard])
    success = json.loads((run / "_SUCCESS").read_text())
    digest = hashlib.sha256((run / PREDICTIONS[shard]).read_bytes()).hexdigest()
    success["files"][shard] |= {"bytes": entry.size, "etag": entry.etag, "sha256": digest}
    (run / "_SUCCESS").write_text(json.dumps(success))


def test_a_file_that_cannot_be_read_is_named_and_not_taken_for_whole(run, tmp_path):
    whole = (run / PREDICTIONS[3]).read_bytes()
    (run / PREDICTIONS[3]).write_bytes(whole[:4] + b"\xff" * 40 + whole[44:])  # its first page; the footer is right
    vouch_for(run, 3)
    with pytest.raises(RunFailed, match=r"shard-00003\.parquet cannot be read \(.*\); collect the run again"):
        bring(run, tmp_path / "here", Form(merge=1))
    assert "predictions.parquet" not in visible(tmp_path / "here")
    (run / PREDICTIONS[3]).write_bytes(whole)
    vouch_for(run, 3)
    assert bring(run, tmp_path / "here", Form(merge=1)).rows == IMAGES


def test_rows_are_counted_in_the_files(run, tmp_path):
    """With an etag that is right, the file itself says how many there are."""
    pq.write_table(pq.read_table(run / PREDICTIONS[4]).slice(1), run / PREDICTIONS[4])
    vouch_for(run, 4)
    with pytest.raises(RunFailed, match=r"shard-00004\.parquet holds 4 rows and the plan has 5"):
        bring(run, tmp_path / "here")
    assert PREDICTIONS[4] not in visible(tmp_path / "here")


class Meddler(FlakyProxy):
    """Does something of its own before it passes a certain GET on."""

    before = (0, None)

    def next_fault(self, method):
        fault = super().next_fault(method)
        if method == "GET" and self.requests["GET"] == self.before[0]:
            self.before[1]()
        return fault


CHANGED = r"1 file changed while the run was collected, predictions/shard-00000\.parquet"
UNREADABLE = r"shard-00000\.parquet cannot be read .*; collect the run again"
OTHER_BYTES = r"predictions/shard-00000\.parquet was changed: its bytes are not the committed ones"


def forget_digests(s3, uri):
    """As older versions left a run."""
    success = json.loads(s3.get(key_of(uri, "_SUCCESS")))
    for file in success["files"]:
        del file["sha256"]
    s3.put(key_of(uri, "_SUCCESS"), json.dumps(success).encode())


@pytest.mark.parametrize(
    ("form", "has_digests", "message"),
    [
        (Form(), True, rf"{OTHER_BYTES}|{CHANGED}"),  # whether it changed before its read or after
        pytest.param(Form(), False, CHANGED, marks=pytest.mark.slow),
        pytest.param(Form(merge=1), True, rf"{OTHER_BYTES}|{CHANGED}", marks=pytest.mark.slow),
        (Form(merge=1), False, rf"{CHANGED}|{UNREADABLE}"),
    ],
)
def test_a_file_that_changes_while_it_is_collected_is_noticed(s3, tmp_path, monkeypatch, form, has_digests, message):
    uri = run_in(s3)
    if not has_digests:
        forget_digests(s3, uri)
    damaged = bytearray(s3.get(key_of(uri, PREDICTIONS[0])))
    damaged[20] ^= 1  # as long as it was, with as many rows
    proxy = Meddler(s3.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    proxy.before = (len(FIRST) + 1, lambda: s3.put(key_of(uri, PREDICTIONS[0]), bytes(damaged)))
    with pytest.raises(RunFailed, match=message):
        bring(uri, tmp_path / "here", form)
    assert "_SUCCESS" not in visible(tmp_path / "here")
    proxy.stop()


def test_a_copied_run_is_collected_and_one_with_other_bytes_is_not(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    assert bring(copy, tmp_path / "here").rows == IMAGES
    damaged = bytearray((copy / PREDICTIONS[0]).read_bytes())
    damaged[20] ^= 1
    (copy / PREDICTIONS[0]).write_bytes(damaged)
    with pytest.raises(RunFailed, match=OTHER_BYTES):
        bring(copy, tmp_path / "again")
    assert "_SUCCESS" not in visible(tmp_path / "again")


def test_what_was_collected_is_no_run_s_own_folder_to_verify(run, tmp_path):
    bring(run, tmp_path / "here")
    with pytest.raises(RunFailed, match=r"has no manifest/part-00000\.manifest: what `tench collect` leaves has none"):
        verify(str(tmp_path / "here"))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    done = tench("collect", "./images", "--to", "here", cwd=tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path}/images has no plan.json: it is no run's folder" in done.stderr


def make_unfinished(run, shards):
    for name in ("_SUCCESS", *(PREDICTIONS[shard] for shard in shards)):
        (run / name).rename(run.parent / name.replace("/", "-"))


def finish(run, shards):
    for name in ("_SUCCESS", *(PREDICTIONS[shard] for shard in shards)):
        (run.parent / name.replace("/", "-")).rename(run / name)


def test_an_unfinished_run_is_refused_with_the_way_out(run, tmp_path):
    make_unfinished(run, [1, 2, 4])
    done = tench("collect", run, "--to", "here", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "2 of 5 shards are committed" in done.stderr
    assert "--partial" in done.stderr
    assert not (tmp_path / "here").exists()


def test_partial_takes_what_is_there_and_says_what_is_missing(run, tmp_path):
    make_unfinished(run, [1, 2, 4])
    done = tench("collect", run, "--to", "here", "--partial", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "missing: 3 shards, 25 images: rows 10–29, 40–44, from 0" in done.stderr
    assert visible(tmp_path / "here") == ["plan.json", PREDICTIONS[0], PREDICTIONS[3], "report.html"]
    found = bring(run, tmp_path / "here", partial=True)
    assert found.missing.model_dump() == {"shards": 3, "images": 25, "rows": [(10, 29), (40, 44)]}
    assert found.downloaded_bytes == 0


def test_the_rest_of_a_partial_collection_comes_when_the_run_is_finished(run, tmp_path):
    make_unfinished(run, [1, 4])
    bring(run, tmp_path / "here", partial=True)
    before = inodes(tmp_path / "here")
    finish(run, [1, 4])
    found = bring(run, tmp_path / "here")
    assert (found.rows, found.missing) == (IMAGES, None)
    assert before.items() <= inodes(tmp_path / "here").items()
    assert found.downloaded_bytes == sum((run / PREDICTIONS[shard]).stat().st_size for shard in (1, 4))
    assert visible(tmp_path / "here") == sorted([*DOCUMENTS, *PREDICTIONS])


def test_partial_of_a_run_that_has_committed_nothing(run, tmp_path):
    make_unfinished(run, range(SHARDS))
    found = bring(run, tmp_path / "here", Form("csv", merge=1), partial=True)
    assert (found.files, found.rows, found.missing.images) == ([], 0, IMAGES)


def test_a_partial_merge_is_made_anew_of_what_is_here_and_what_came(run, tmp_path):
    make_unfinished(run, [1, 4])
    assert bring(run, tmp_path / "here", Form(merge=1), partial=True).rows == 30
    finish(run, [1, 4])
    found = bring(run, tmp_path / "here", Form(merge=1))
    assert found.downloaded_bytes == sum((run / PREDICTIONS[shard]).stat().st_size for shard in (1, 4))
    shards = [pq.read_table(run / name) for name in PREDICTIONS]
    assert pq.read_table(tmp_path / "here" / "predictions.parquet").equals(pa.concat_tables(shards))
    assert files_below(tmp_path / "here" / ".collect") == ["record.jsonl"]


def test_a_shard_that_was_written_anew_is_brought_again(run, tmp_path):
    make_unfinished(run, [4])
    bring(run, tmp_path / "here", partial=True)
    rows = pq.read_table(run / PREDICTIONS[2])
    (run / PREDICTIONS[2]).unlink()
    pq.write_table(rows.set_column(rows.column_names.index("label"), "label", [["new"] * 10]), run / PREDICTIONS[2])
    found = bring(run, tmp_path / "here", partial=True)
    assert found.downloaded_bytes == (run / PREDICTIONS[2]).stat().st_size
    assert set(pq.read_table(tmp_path / "here" / PREDICTIONS[2])["label"].to_pylist()) == {"new"}


def test_a_damaged_run_is_not_collected_in_part(run, tmp_path):
    (run / PREDICTIONS[1]).unlink()
    with pytest.raises(RunFailed, match=r"shard-00001\.parquet is gone"):
        bring(run, tmp_path / "here", partial=True)


def test_a_folder_of_another_run_is_refused(run, tmp_path):
    bring(run, tmp_path / "here")
    other = run_here(make_spec(tmp_path, rows_per_file=20)).paths
    with pytest.raises(UsageError, match=rf"here holds {run.name}; give --to another folder for {other.run_id}"):
        bring(other.uri, tmp_path / "here")
    assert len(inodes(tmp_path / "here")) == SHARDS


def test_a_folder_of_the_same_run_in_another_form_is_refused(run, tmp_path):
    bring(run, tmp_path / "here", Form("csv", merge=2))
    with pytest.raises(UsageError, match=r"collected with --format csv --merge 2; collect it so again, or give --to"):
        bring(run, tmp_path / "here")


def test_a_folder_that_holds_other_things_is_refused(run, tmp_path):
    with pytest.raises(UsageError, match="images holds other things; --to wants a new or an empty folder"):
        bring(run, tmp_path / "images")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file; --to wants a folder"):
        bring(run, tmp_path / "file")
    with pytest.raises(UsageError, match="a folder of this machine is wanted"):
        collect(str(run), "s3://results/here", Form(), False, Console(file=StringIO()))


@pytest.mark.parametrize("below", ["", "predictions/here"])
def test_the_runs_own_folder_is_no_destination(run, below):
    with pytest.raises(UsageError, match="is in the run's own folder; name another one with --to"):
        bring(run, run / below)
    assert not (run / ".collect").exists()


def test_two_at_once_do_not_write_to_one_folder(run, tmp_path):
    with (
        Destination(tmp_path / "here", Identity(run.name, "a plan", "a form")),
        pytest.raises(UsageError, match="another `tench collect` writes to"),
    ):
        bring(run, tmp_path / "here")


def test_a_destination_that_cannot_be_written_is_one_line(run, tmp_path):
    done = tench("collect", run, "--to", "/proc/here", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "/proc/here" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["run", "--merge", "0"], ["run", "--format", "xml"], ["run", "--merge=two"]])
def test_a_wrong_call_is_exit_2(tmp_path, arguments):
    done = tench("collect", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_lines_instead_of_a_bar_where_there_is_no_terminal(s3, flaky, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(collect_progress, "INTERVAL_S", 0.05)
    uri = run_in(s3)
    flaky.fail(*FIRST, *[503] * 5, method="GET")
    with caplog.at_level("INFO", "tench"):
        bring(uri, tmp_path / "here", Form("csv"))
    lines = [record.message for record in caplog.records if record.name == collect_progress.__name__]
    assert lines
    assert re.match(r"[\d.]+ (bytes|kB) of [\d.]+ kB.*; wrote \d+ of 45 rows", lines[0])


def test_a_terminal_gets_a_bar_in_colour_unless_no_color_is_set(run, tmp_path):
    shown, answer = on_a_terminal("collect", run, "--to", "here", cwd=tmp_path)
    assert "\x1b[3" in shown
    assert "━" in shown
    assert "kB of" in shown
    assert answer == f"{tmp_path}/here\n"
    shown, _ = on_a_terminal("collect", run, "--to", "there", cwd=tmp_path, NO_COLOR="1")
    assert "━" in shown
    assert not re.search(r"\x1b\[3\d", shown)
