"""What a folder of this machine holds and nobody can read: passed over and counted where a source is listed."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from sources import outcome, rows_of

from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import FilesSource

ROOT = Path(__file__).parents[4]
LIST = """
import json, os, sys
from job.sources.files.files_source import FilesReader
from job.sources.open_source import open_source
from job.spec.limits import Limits
from job.spec.spec import FilesSource
from job.stores.local_folder import LocalFolder
os.setgid(65534), os.setuid(65534)
source = open_source(FilesSource(uri=sys.argv[1]), Limits(10**9, 10**6))
uris = [uri for table in source.list() for uri in table["uri"].to_pylist()]
print(json.dumps([uris, {each.kind: [each.count, each.example] for each in source.left_out}]))
"""


def list_as_nobody(uri):
    command = [sys.executable, "-c", LIST, str(uri)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_what_this_user_may_not_open_is_passed_over_and_counted():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are below one that only their owner may enter
        root = Path(folder)
        root.chmod(0o755)
        for name in ("a.jpg", "closed/b.jpg", "open/c.jpg", "open/closed too/d.jpg", "names only/e.jpg"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"x")
        (root / "link").symlink_to("closed/b.jpg")
        (root / "closed").chmod(0o700)
        (root / "open/closed too").chmod(0o700)
        (root / "names only").chmod(0o744)

        done = list_as_nobody(root)
        uris, left_out = json.loads(done.stdout)
        at_the_top = list_as_nobody(root / "closed")

    assert uris == [f"{root}/a.jpg", f"{root}/open/c.jpg"]
    assert left_out == {
        "folders that cannot be opened": [2, "closed/"],
        "files that cannot be looked at": [2, "link"],
    }
    assert "Permission denied" in at_the_top.stderr


def test_links_in_circles_and_what_is_no_file_are_counted_and_a_link_to_nothing_is_a_row(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x.jpg").write_bytes(b"x")
    (tmp_path / "real/up").symlink_to("..")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    source = open_source(FilesSource(uri=str(tmp_path)), Limits(10**9, 10**6))

    rows = rows_of(source)

    found = dict(zip(rows["uri"].to_pylist(), map(outcome, source.read(rows)), strict=True))
    assert found == {
        f"{tmp_path}/gone.jpg": "missing",
        f"{tmp_path}/real/x.jpg": b"x",
        f"{tmp_path}/self.jpg": "missing",
    }
    assert {each.kind: (each.count, each.example) for each in source.left_out} == {
        "links to a folder that they are in": (1, "real/up/"),
        "pipes, sockets and devices": (1, "pipe.jpg"),
    }
