"""The code of another revision, for benchmarks that compare builds."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.process import ContenderError


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Its files, in a folder that is gone again afterwards. Raises ContenderError."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", revision], capture_output=True)  # noqa: S607 - the caller's git
        if archive.returncode:
            raise ContenderError(archive.stderr.decode().strip())
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)  # noqa: S607
        yield Path(folder)
