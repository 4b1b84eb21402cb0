"""Create-only writes where hard links fail: as safe by another rename, or a no that says why before a run starts."""

import errno
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from colours import write_images
from run_specs import make_spec, run_here

from job.errors import OutputError, StoreError
from job.results.verify import verify
from job.stores import create_only
from job.stores.storage import open_folder
from tench import api

NO = "has neither hard links nor a rename that replaces nothing"


@pytest.fixture(params=[errno.EPERM, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def no_links(request, monkeypatch):
    """As exFAT and CIFS answer; the kernel's own rename is there."""

    def refuse(source, target):
        raise OSError(request.param, os.strerror(request.param), source)

    monkeypatch.setattr(create_only.os, "link", refuse)


def test_without_links_a_create_is_whole_and_refuses_a_name_that_is_taken(no_links, tmp_path):
    folder = open_folder(str(tmp_path))
    etag = folder.create("a/once", b"first")
    assert folder.head("a/once").etag == etag
    with pytest.raises(FileExistsError, match="once exists already"):
        folder.create("a/once", b"second")
    assert folder.read("a/once") == b"first"
    assert os.listdir(tmp_path / "a") == ["once"]


def test_without_links_one_of_many_creators_wins(no_links, tmp_path):
    folder = open_folder(str(tmp_path))

    def create(number):
        try:
            folder.create("contested", str(number).encode())
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(create, range(40)) if number is not None]
    assert [str(number).encode() for number in winners] == [folder.read("contested")]
    assert os.listdir(tmp_path) == ["contested"]


def test_a_whole_run_needs_no_links(no_links, tmp_path):
    write_images(tmp_path / "images", 12)
    result = run_here(make_spec(tmp_path))
    assert verify(result.uri).rows == result.rows == 12


@pytest.fixture
def exfat(tmp_path):
    """A real exFAT through FUSE, which has no links and hands no rename's wishes on: as gcsfuse."""
    if os.getuid() or not (shutil.which("mkfs.exfat") and shutil.which("mount.exfat-fuse")):
        pytest.skip("needs root, exfatprogs and exfat-fuse")
    image, place = tmp_path / "disk", tmp_path / "mounted"
    image.touch(), place.mkdir()
    os.truncate(image, 64 << 20)
    subprocess.run(["mkfs.exfat", image], check=True, capture_output=True)
    found = subprocess.run(["losetup", "--find", "--show", image], check=False, capture_output=True, text=True)
    device = found.stdout.strip()
    command = ["mount.exfat-fuse", device or image, place]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode == 0:
        yield place
        subprocess.run(["umount", place], check=True)
    if device:
        subprocess.run(["losetup", "--detach", device], check=True)
    if mounted.returncode:
        pytest.skip(f"FUSE cannot mount here: {found.stderr or mounted.stderr}")


def test_where_nothing_is_safe_the_run_is_refused_before_it_starts(exfat, tmp_path):
    write_images(tmp_path / "images", 3)
    spec = make_spec(tmp_path, output={"uri": f"{exfat}/runs"})
    with pytest.raises(StoreError, match=NO):
        open_folder(str(exfat)).create("x", b"")
    (problem,) = api.plan(spec).problems
    assert problem.startswith("output.uri: ")
    assert NO in problem
    with pytest.raises(OutputError, match=NO):
        run_here(spec)
    assert os.listdir(exfat) == []
    open_folder(str(exfat)).put("x", b"replaced")  # a read and a plain write are as everywhere
    assert open_folder(str(exfat)).read("x") == b"replaced"


def test_looking_at_an_output_leaves_nothing(tmp_path):
    write_images(tmp_path / "images", 3)
    before = sorted(os.listdir(tmp_path))
    assert api.plan(make_spec(tmp_path)).problems == []
    assert sorted(os.listdir(tmp_path)) == before
