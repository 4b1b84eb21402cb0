"""What an installed Tench puts into its user's site-packages."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The files of the wheel, built from a copy: setuptools leaves things where it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("job", "tench", "scripts/launcher", "requirements"):
        shutil.copytree(ROOT / name, folder / "source" / name, symlinks=True, ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / "source" / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(folder / "source")], check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.slow
def test_it_installs_two_packages_and_none_named_scripts(names):
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"job", "tench"}


@pytest.mark.slow
def test_every_module_and_every_file_that_one_reads_is_in_it(names):
    folders = {"job": ROOT / "job", "tench/launcher": ROOT / "scripts" / "launcher", "tench": ROOT / "tench"}
    wanted = {
        f"{name}/{path.relative_to(folder)}"
        for name, folder in folders.items()
        for pattern in ("*.py", "*.json", "*.j2", "py.typed")
        for path in folder.rglob(pattern)
    }
    assert len(wanted) > 150
    assert wanted - {*names} == set()
