"""Copies of the repository, in which trials change a file while the repository stays as it is."""

import os
import shutil
from pathlib import Path

COPIED = ("job", "tests")
NOT_THERE = (".git", ".venv", ".hypothesis", "build")


class Copy:
    """The repository in a folder of its own: job/ and tests/ copied, links to the rest."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.scratch, self.log = folder / "tree", folder / "tmp", folder / "log"
        self._source, self._writes = root, 0
        self.root.mkdir(parents=True)
        for entry in root.iterdir():
            if entry.name in COPIED:
                shutil.copytree(entry, self.root / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif entry.name not in NOT_THERE:
                (self.root / entry.name).symlink_to(entry)

    def write(self, file: str, code: str) -> None:
        """Dates each version of a file differently, or Python would take the last one's bytecode for it."""
        self._writes += 1
        (self.root / file).write_text(code)
        os.utime(self.root / file, (self._writes, self._writes))

    def restore(self, file: str) -> None:
        shutil.copy2(self._source / file, self.root / file)
