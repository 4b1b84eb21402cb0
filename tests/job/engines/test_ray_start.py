"""Starting Ray: in a process of its own, with few others, and an end in words where it does not come up."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import yaml
from colours import write_images
from run_specs import make_spec
from tench_command import COMMAND, environment

from job.engines import ray_start
from job.engines.ray_data import RayEngine
from job.engines.ray_start import HEAD, RayHead
from job.errors import PreflightError
from job.spec.spec import ComputeSpec

STUCK = {
    "the head that starts": "if 'ray_head.py' in ' '.join(sys.orig_argv): time.sleep(600)",
    "the driver that connects": """
        if sys.orig_argv[-1] == "ray":
            import ray
            ray.init = lambda *_, **__: time.sleep(600)
    """,
}
DRIVER = """
import os, signal, sys
from job.engines.ray_data import RayEngine
from job.spec.spec import ComputeSpec
with RayEngine(ComputeSpec(gpus_per_replica=0)) as engine:
    engine.slots
    import ray
    print(*ray.get(ray.remote(lambda: [os.getpid(), os.getppid()]).remote()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def processes_in(folder):
    """Those that work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            found += [path.parent.name] if path.readlink() == folder else []
    return [process for process in found if is_alive(process)]


def wait_until(is_so):
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("who", STUCK)
def test_a_ray_that_does_not_come_up_ends_the_run_with_what_to_do(tmp_path, who):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import sys, time\n" + textwrap.dedent(STUCK[who]))
    write_images(tmp_path / "images", 3)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(make_spec(tmp_path).model_dump(mode="json")))
    variables = environment(TENCH_RAY_START_TIMEOUT_S="3")
    variables["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "site"), variables["PYTHONPATH"]])
    command = [*COMMAND, "run", "job.yaml", "--engine", "ray"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=100)
    assert done.returncode == 3, done.stderr
    assert "Ray did not start within 3 s; " in done.stderr
    assert "--engine local" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
    wait_until(lambda: not processes_in(tmp_path))


def test_a_head_whose_driver_is_gone_before_ray_is_up_ends_too():
    stuck = (
        f"import sys, time; sys.path.insert(0, {str(HEAD.parent)!r}); import ray_head\n"
        "ray_head.start = lambda *_: time.sleep(600); ray_head._OUTLIVES_S = 0.5; ray_head.main(1, 0, [])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", stuck], input="", timeout=60, check=False)
    assert done.returncode == 1


def test_a_head_that_ends_is_told_with_its_last_words(monkeypatch, tmp_path):
    head = tmp_path / "head.py"
    head.write_text("raise SystemExit('no room for Ray')")
    monkeypatch.setattr(ray_start, "HEAD", head)
    told = pytest.raises(PreflightError, match="its head ended with code 1: no room for Ray")
    with RayEngine(ComputeSpec(gpus_per_replica=0)) as engine, told:
        engine.slots  # noqa: B018


AFTER_RAY = """
import os, ray
from ray._raylet import Config
os.environ["RAY_AUTH_MODE"] = "disabled"
Config.initialize("")
del os.environ["RAY_AUTH_MODE"]
from job.engines.ray_data import RayEngine
from job.spec.spec import ComputeSpec
with RayEngine(ComputeSpec(gpus_per_replica=0)) as engine:
    print(engine.slots.replicas)
"""


@pytest.mark.slow
def test_a_process_that_had_ray_before_starts_it_too():
    """As a notebook: Ray reads how it is to authenticate when it is imported."""
    command = [sys.executable, "-c", AFTER_RAY]
    variables = {name: value for name, value in environment().items() if name != "RAY_AUTH_MODE"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "1\n"


AFTER_AN_ERROR = """
import gc, sys
from job.errors import ModelError
from run_specs import make_spec, run_here
try:
    run_here(make_spec(sys.argv[1], model={"kind": "python", "name": "colours:Refusing"}), "ray")
except ModelError as error:
    kept = error
del kept
gc.collect()
print("goes on")
"""


@pytest.mark.slow
def test_a_run_that_fails_on_ray_leaves_nothing_that_ends_the_process_later(tmp_path):
    """As a reference to an object in the store does, which the error's frames would hold."""
    write_images(tmp_path / "images", 20)
    command = [sys.executable, "-c", AFTER_AN_ERROR, str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stdout) == (0, "goes on\n"), done.stderr


def test_a_driver_that_is_killed_leaves_no_process_of_ray_behind():
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_until(lambda: not any(map(is_alive, done.stdout.split())))


def test_the_head_starts_neither_dashboard_nor_autoscaler_nor_agents(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with RayHead(2) as head:
        assert head.address(100).count(":") == 1
        programs = " ".join(path.read_text() for path in Path("/proc").glob("[0-9]*/cmdline") if _is_below(path, head))
    assert "gcs_server" in programs
    assert "raylet" in programs
    words = [word for line in programs.split("\0") for word in line.split()]
    assert not [
        word for word in words if word.endswith(("/dashboard.py", "/monitor.py", "/log_monitor.py", "/agent.py"))
    ]


def _is_below(path, head):
    process = int(path.parent.name)
    while process > 1:
        if process == head._process.pid:
            return True
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:
            return False
    return False


@pytest.mark.slow
def test_where_ray_is_of_another_make_the_head_starts_it_in_rays_own_way():
    another = (
        "import ray, ray._private.parameter as p, runpy, sys; made = p.RayParams.__init__\n"
        "def strict(self, *a, **k):\n"
        "    if k.get('no_monitor'): raise TypeError('no such thing as no_monitor')\n"
        "    made(self, *a, **k)\n"
        f"p.RayParams.__init__ = strict; sys.argv = ['', '2', '1']; runpy.run_path({str(HEAD)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", another], input="", capture_output=True, text=True, timeout=100, check=True
    )
    assert "is started in its own way: no such thing as no_monitor" in done.stderr
    assert '{"address": "' in done.stdout
