"""The image: what is in it, what is not, and as whom it runs."""

import subprocess

from scripts.kind.settings import IMAGE

ABSENT = ["gcc", "g++", "cc", "make", "git", "tench"]


def inside(*command, user="1000"):
    """Read-only, as the chart runs it, from a folder that holds nothing of the job."""
    docker = ["docker", "run", "--rm", "--read-only", "--tmpfs=/tmp", "--workdir=/tmp", "--network=none"]
    return subprocess.run([*docker, f"--user={user}", IMAGE, *command], capture_output=True, text=True, timeout=120)


def test_it_runs_as_nobody_s_root():
    user = subprocess.run(["docker", "image", "inspect", "--format", "{{.Config.User}}", IMAGE], capture_output=True)
    assert user.stdout.strip() == b"1000:1000"
    assert inside("id").stdout.startswith("uid=1000(tench) gid=1000(tench)")


def test_the_job_is_installed_and_the_launcher_is_not():
    said = inside("python", "-m", "job").stderr
    assert said == "tench: python -m job takes SPEC and perhaps RUN_ID and --accept-changed-model (got [])\n"
    for absent in ("scripts", "kubernetes", "tench.launcher"):
        assert f"No module named '{absent}'" in inside("python", "-c", f"import {absent}").stderr


def test_a_model_s_module_finds_what_it_is_written_with():
    for line in ("from tench import Recipe, ShortestEdge", "from job.recipe import Recipe"):
        assert inside("python", "-c", line).returncode == 0


def test_ray_torch_and_what_kuberay_s_probes_call_are_there():
    script = "wget --version && ray --version && python -c 'import torch, torchvision, transformers'"
    said = inside("bash", "-lc", script)
    assert said.returncode == 0, said.stderr


def test_what_only_builds_is_not_there():
    said = inside("bash", "-c", f"command -v {' '.join(ABSENT)} python")
    assert said.stdout == "/opt/tench/bin/python\n", said


def test_no_cache_and_no_wheel_was_left():
    folders = ["/root", "/home/tench", "/var/cache/apt", "/var/lib/apt/lists", "/var/log", "/usr/share/python-wheels"]
    said = inside("bash", "-c", f"du -sk {' '.join(folders)} 2>/dev/null; true", user="0")
    sizes = {folder: int(size) for size, folder in map(str.split, said.stdout.splitlines())}
    assert {"/root", "/home/tench"} <= sizes.keys()
    assert max(sizes.values()) < 100, sizes
