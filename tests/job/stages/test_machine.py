"""What a process may use: CPUs and memory by its control group, of both versions, else the machine's."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from job.stages import machine
from job.stages.machine import cores, memory_bytes

V1 = "33 32 0:30 {top} /sys/fs/cgroup/{name} rw,relatime shared:9 - cgroup cgroup rw,{name}"
V2 = "31 30 0:29 {top} /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate"
GIB = 1 << 30


@pytest.fixture(autouse=True)
def large_machine(monkeypatch):
    """64 cores, 512 GiB."""
    monkeypatch.setattr(machine, "_cpus_in_sight", lambda: 64)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 128 << 20, "SC_PAGE_SIZE": 4096}.__getitem__)


def make_root(root, cgroup, mounts, files):
    files = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mounts, **files}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def v2(root, path="/", top="/", **files):
    return make_root(root, f"0::{path}", V2.format(top=top), {f"sys/fs/cgroup/{name}": t for name, t in files.items()})


def v1(root, path="/", top="/", **files):
    mounts = "\n".join(V1.format(top=top, name=name) for name in ("cpu,cpuacct", "memory"))
    cgroup = f"12:memory:{path}\n4:cpu,cpuacct:{path}\n1:name=systemd:{path}\n0::{path}"
    return make_root(root, cgroup, mounts, {f"sys/fs/cgroup/{name}": text for name, text in files.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000", 2), ("250000 100000", 2), ("50000 100000", 1), ("max 100000", 64), ("300000", 64),
        ("6400000 50000", 64), ("", 64), ("none of this", 64),
    ],
)  # fmt: skip
def test_cpus_by_a_quota_of_version_2(tmp_path, text, expected):
    assert cores(v2(tmp_path, **{"cpu.max": text})) == expected


def test_the_smallest_quota_of_all_parents_holds(tmp_path):
    files = {"pod/box/cpu.max": "max 100000", "pod/cpu.max": "300000 100000", "memory.max": "max"}
    files |= {"pod/memory.max": str(8 * GIB), "pod/box/memory.max": str(9 * GIB)}
    root = v2(tmp_path, "/pod/box", **files)
    assert (cores(root), memory_bytes(root)) == (3, 8 * GIB)


@pytest.mark.parametrize(("path", "top"), [("/kubepods/pod1/box", "/kubepods/pod1/box"), ("/", "/"), ("/../../x", "/")])
def test_a_container_of_version_1_sees_its_own_group_as_the_top(tmp_path, path, top):
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "400000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    root = v1(tmp_path, path, top, **files, **{"memory/memory.limit_in_bytes": str(24 * GIB)})
    assert (cores(root), memory_bytes(root)) == (4, 24 * GIB)


def test_no_limits_of_version_1(tmp_path):
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    root = v1(tmp_path, **files, **{"memory/memory.limit_in_bytes": "9223372036854771712"})
    assert (cores(root), memory_bytes(root)) == (64, 512 * GIB)


def test_a_machine_without_control_groups(tmp_path):
    assert (cores(tmp_path), memory_bytes(tmp_path)) == (64, 512 * GIB)


def test_a_real_quota_is_kept_to():
    """In a process of its own, in a group that is made for it; where this user may make one."""
    folder = Path("/sys/fs/cgroup/cpu", f"tench-{uuid.uuid4().hex}")
    quota = folder / "cpu.cfs_quota_us"
    if not folder.parent.is_dir():
        folder = Path("/sys/fs/cgroup", folder.name)
        quota = folder / "cpu.max"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        try:
            quota.write_text("100000")
        except OSError as error:
            pytest.skip(f"no quota can be set here: {error}")
        join = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid()))"
        look = "from job.stages.machine import cores; print(cores(), len(os.sched_getaffinity(0)))"
        command = [sys.executable, "-c", f"{join}; {look}", str(folder / "cgroup.procs")]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    finally:
        folder.rmdir()
    assert found[0] == "1"
    assert int(found[1]) == len(os.sched_getaffinity(0))
