"""The packages as a newcomer finds them: one name for one thing, few entries to open with, each room introduced."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
JOB, LAUNCHER = ROOT / "job", ROOT / "scripts" / "launcher"  # tench/launcher leads to the latter
MODULES = sorted([*JOB.rglob("*.py"), *LAUNCHER.rglob("*.py"), *(ROOT / "tench").glob("*.py")])


def used_twice(places):
    """Of names and where each is, those of several places."""
    by_name = defaultdict(list)
    for name, place in places:
        by_name[name].append(str(place.relative_to(ROOT)))
    return {name: found for name, found in by_name.items() if len(found) > 1}


def test_a_modules_name_stands_for_one_module():
    """But for those of commands, which are named as they are called."""
    modules = [path for path in MODULES if path.parent != LAUNCHER / "commands"]
    assert used_twice((path.stem, path) for path in modules if path.stem not in ("__init__", "__main__")) == {}


def test_a_classs_name_stands_for_one_class():
    classes = [
        (node.name, path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert len(classes) > 100
    assert used_twice(classes) == {}


@pytest.mark.parametrize(("package", "most"), [(JOB, 18), (LAUNCHER, 12)], ids=["job", "launcher"])
def test_a_package_opens_with_few_entries(package, most):
    entries = sorted(path.name for path in package.iterdir() if path.name != "__pycache__")
    assert len(entries) <= most, entries


def test_each_package_says_what_it_is_for():
    packages = [path for path in MODULES if path.name == "__init__.py"]
    folders = {path.parent for path in MODULES}
    assert {path.parent for path in packages} == folders, "each folder of modules is a package"
    silent = [path for path in packages if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert silent == []
