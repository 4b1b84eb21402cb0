"""What tests of the job share."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from io import BytesIO

import pytest
from PIL import Image, PngImagePlugin

DEADLY = "kills who decodes it"

DIE_AT_A_CHUNK = """
import os, signal, sys
from job.plan.chunks import Chunk
from job.stages.crash_markers import mark_chunk
with mark_chunk(sys.argv[1], Chunk(*map(int, sys.argv[2:]))):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def die_at_chunk(tmp_path, monkeypatch):
    """Lets a process die at a chunk, given by run id, shard, start and stop, of a node that has only this test."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def die(run_id, *chunk):
        died = subprocess.run([sys.executable, "-c", DIE_AT_A_CHUNK, run_id, *map(str, chunk)], check=False)
        assert died.returncode == -signal.SIGKILL

    return die


@pytest.fixture
def deadly_images(tmp_path_factory, monkeypatch):
    """A valid PNG, at which the Pillow of every process started from here on dies, as at a hole in a real decoder."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(
        textwrap.dedent(
            f"""
            import signal
            from PIL.PngImagePlugin import PngImageFile

            class DeadlyPngImageFile(PngImageFile):
                def load(self):
                    if {DEADLY!r} in self.info.values():
                        signal.raise_signal(signal.SIGSEGV)
                    return super().load()

            import PIL.PngImagePlugin
            PIL.PngImagePlugin.PngImageFile = DeadlyPngImageFile
            """
        )
    )
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    buffer, info = BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("Comment", DEADLY)
    Image.new("RGB", (40, 30), "red").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def one_thread():
    """Two libraries that take turns at the same cores leave torch's threads waiting for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
