"""The `tench` command in a process of its own that is forked from one with the libraries loaded: seconds less a call.

For tests of what the command says and does. Those of what it loads, of Ray and of kills start Python anew.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from multiprocessing import reduction
from pathlib import Path

# Not the hub's client, which reads its settings from the environment when it is loaded.
PRELOADED = [
    *("tench.launcher.cli", "job.run", "job.report.publish", "job.results.preview"),
    *("torch", "torchvision", "pyarrow.parquet", "pandas", "obstore.store", "boto3", "kubernetes.client"),
]


def call_tench(*arguments, cwd=None, env=None, stdin=None, timeout=120):
    """As `subprocess.run` of the command, with text captured; `stdin` is a text, and nothing by default."""
    process = start_tench(*arguments, cwd=cwd, env=env, stdin=stdin)
    stdout, stderr = process.communicate(timeout)
    return subprocess.CompletedProcess(["tench", *arguments], process.returncode, stdout, stderr)


def start_tench(*arguments, cwd=None, env=None, stdin=None, constants=None):
    """As `subprocess.Popen`; `constants` are other values of modules' constants, by "module:NAME"."""
    return _Command([str(argument) for argument in arguments], str(cwd or Path.cwd()), env, stdin, constants or {})


class _Command:
    def __init__(self, arguments, cwd, env, stdin, constants):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        with tempfile.TemporaryFile() as given:
            given.write((stdin or "").encode())
            given.seek(0)
            outputs = [os.pipe() for _ in range(2)]
            files = [_File(given.fileno()), *(_File(written) for _, written in outputs)]
            call = (arguments, cwd, dict(os.environ if env is None else env), files, constants)
            self._process = context.Process(target=_run, args=call, daemon=True)
            self._process.start()
        for _, written in outputs:
            os.close(written)
        self.stdout, self.stderr = (os.fdopen(read, encoding="utf-8") for read, _ in outputs)

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self.returncode

    def send_signal(self, number):
        os.kill(self._process.pid, number)

    def communicate(self, timeout=None):
        """What both outputs said until the end. Raises TimeoutExpired, after which the process is gone."""
        said = {}
        pipes = (self.stdout, self.stderr)
        readers = [threading.Thread(target=lambda pipe=pipe: said.update({pipe: pipe.read()})) for pipe in pipes]
        for reader in readers:
            reader.start()
        self._process.join(timeout)
        ended = self.returncode is not None
        if not ended:
            self._process.kill()
            self._process.join()
        for reader, pipe in zip(readers, pipes, strict=True):
            reader.join()
            pipe.close()
        if not ended:
            raise subprocess.TimeoutExpired("tench", timeout, said[self.stdout], said[self.stderr])
        return said[self.stdout], said[self.stderr]


class _File:
    """An open file on its way into a process that is forked elsewhere."""

    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        return _received, (reduction.DupFd(self.number),)


def _received(sent):
    return sent.detach()


def _run(arguments, cwd, env, files, constants):
    """In the forked process: as if Python had just begun there."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = ["", *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["tench", *arguments]
    for place, value in constants.items():
        module, name = place.split(":")
        __import__(module)
        setattr(sys.modules[module], name, value)
    from tench.launcher.cli import main

    main()
