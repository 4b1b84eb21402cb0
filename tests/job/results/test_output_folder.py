"""The folder that a run writes to: where it cannot be, a run and its preview are refused before anything is started."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from colours import write_images
from run_specs import files_below, make_spec, run_here

from job.errors import OutputError, RunFailed
from job.results.output_folder import check_output, open_output
from job.results.preview import preview
from job.stores.storage import open_folder

ROOT = Path(__file__).parents[3]
LOOK = """
import os, sys
from job.results.output_folder import check_output
from job.stores.local_folder import LocalFolder
from job.stores.storage import open_folder
os.setgid(65534), os.setuid(65534)
check_output(open_folder(sys.argv[1]))
"""


def refusal(uri):
    with pytest.raises(OutputError, match=r"^output\.uri: ") as caught:
        check_output(open_folder(uri))
    return str(caught.value)


def test_a_folder_that_is_there_or_can_be_made_is_none_the_worse_for_it(tmp_path):
    for uri in (tmp_path, tmp_path / "new" / "and" / "deep"):
        check_output(open_folder(str(uri)))
    assert files_below(tmp_path) == []
    assert not (tmp_path / "new").exists()


def test_a_file_and_a_link_to_nothing_are_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    assert refusal(f"{tmp_path}/file/run").endswith(
        f"{tmp_path}/file/run cannot be made: {tmp_path}/file is a file; name another folder"
    )
    assert f"{tmp_path}/link is a link to nothing" in refusal(f"{tmp_path}/link/run")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_folder_of_somebody_else_is_refused():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are below one that only their owner may enter
        os.chmod(folder, 0o755)
        command = [sys.executable, "-c", LOOK, f"{folder}/runs/mine"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert f"{folder}/runs/mine cannot be written: this user may not write to {folder}" in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    assert f"this user may not write to {tmp_path}/locked" in refusal(f"{tmp_path}/locked/runs")


def test_a_read_only_file_system_is_named(tmp_path, monkeypatch):
    found = os.statvfs(tmp_path)
    read_only = os.statvfs_result([*found[:8], found.f_flag | os.ST_RDONLY, *found[9:10]])
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    assert f"{tmp_path} is on a read-only file system" in refusal(f"{tmp_path}/runs")


def test_a_bucket_that_is_not_there_is_named(s3):
    check_output(open_folder(f"{s3.uri}/runs/mine"))
    assert refusal("s3://there-is-none/runs/mine").endswith(
        "s3://there-is-none/runs/mine/manifest/: there is no such bucket"
    )
    with pytest.raises(OutputError, match=r"output\.uri: s3://there-is-none: there is no such bucket"):
        open_output(make_spec("/x", output={"uri": "s3://there-is-none/runs"}), "mine")


@pytest.mark.parametrize("output", ["file", "bucket"])
def test_a_run_is_refused_before_it_loads_a_model(s3, tmp_path, output):
    write_images(tmp_path / "images", 3)
    (tmp_path / "file").write_text("")
    uri = {"file": f"{tmp_path}/file", "bucket": "s3://there-is-none"}[output]
    spec = make_spec(tmp_path, output={"uri": uri}, model={"kind": "python", "name": "no_such_module:make"})
    with pytest.raises(OutputError, match=r"^output\.uri: "):
        run_here(spec)


def test_a_bucket_that_takes_no_writes_is_refused_at_the_first(flaky, s3, tmp_path):
    write_images(tmp_path / "images", 3)
    spec = make_spec(tmp_path, output={"uri": f"{s3.uri}/runs"})
    flaky.fail(403, method="PUT")
    with pytest.raises(OutputError, match=r"output\.uri: .*access denied"):
        run_here(spec)
    assert preview(spec, None).state == "new"


def test_another_programs_plan_is_no_problem_of_the_output(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "plan.json").write_text("{}")
    with pytest.raises(RunFailed, match=r"plan\.json is not Tench's"):
        open_output(make_spec(tmp_path, output={"uri": str(tmp_path)}), "mine")
