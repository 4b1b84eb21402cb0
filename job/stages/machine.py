"""What this process may use of its machine: CPUs and memory, as its container's limits leave them.

A container's quota of CPU time hides no core: `os.cpu_count` and the affinity mask still say 64 where a pod may use
two, and 64 threads on two cores' time wait for most of each 100 ms. Only the control group's own files tell.
https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/scheduler/sched-bwc.html
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Controller = Literal["cpu", "memory"]

ROOT = Path("/")


def cores(root: Path = ROOT) -> int:
    """CPUs that this process may use: of the affinity mask, and no more than the control group's quota; at least 1.

    Of a quota of 2.5 it is 2: a third thread would only wait. `root` is where `proc` and `sys` lie.
    """
    return max(1, min([_cpus_in_sight(), *(int(quota) for quota in _cpu_quotas(root))]))


def memory_bytes(root: Path = ROOT) -> int:
    """Memory that this process may use: the machine's, and no more than the control group's limit."""
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_memory_limits(root)])


def release_freed_memory() -> None:
    """Gives what was freed in this process back to the machine, where the C library keeps it for itself (glibc)."""
    trim = _malloc_trim()
    if trim:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None


def _cpus_in_sight() -> int:
    # Python 3.13; it knows PYTHON_CPU_COUNT, too.
    count = getattr(os, "process_cpu_count", None)
    if count is not None:
        return count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_quotas(root: Path) -> Iterator[float]:
    """In CPUs, of every group that this process is in; a parent's may be the smaller."""
    for folder in _groups(root, "cpu"):
        quota, *period = _words(folder / "cpu.max") or _words(folder / "cpu.cfs_quota_us") or [""]
        period = period or _words(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period and int(period[0]):  # "max" and -1: no quota
            yield int(quota) / int(period[0])


def _memory_limits(root: Path) -> Iterator[int]:
    for folder in _groups(root, "memory"):
        for word in _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes"):
            if word.isdigit():  # "max": no limit. Version 1 says 2^63 less a page, which is more than any machine has
                yield int(word)


@dataclass(frozen=True)
class _Mount:
    """A hierarchy of groups: the folder it is seen in, the group at its top there, and its controllers, if it is of
    version 1.
    """

    top: str
    folder: str
    controllers: frozenset[str] | None


def _groups(root: Path, controller: Controller) -> Iterator[Path]:
    """The folders of this process's group and of those above it, of both versions: a machine may have both."""
    own = _own_groups(root)
    for mount in _mounts(root):
        if mount.controllers is not None and controller not in mount.controllers:
            continue
        path = Path(own.get("" if mount.controllers is None else controller, mount.top))
        top = root / mount.folder.lstrip("/")
        # A container may see its own group as the top while its path is by the host's names.
        is_inside = path.is_relative_to(mount.top) and ".." not in path.parts
        group = top / path.relative_to(mount.top) if is_inside else top
        yield group
        yield from (parent for parent in group.parents if parent.is_relative_to(top))


def _own_groups(root: Path) -> dict[str, str]:
    """This process's group by controller; version 2 has one for all, by the empty name."""
    groups = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            groups[""] = path
        groups.update({controller: path for controller in controllers.split(",") if controller})
    return groups


def _mounts(root: Path) -> Iterator[_Mount]:
    """See proc_pid_mountinfo(5)."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (kind, *rest) = before.split(), after.split() or [""]
        if kind == "cgroup2":
            yield _Mount(fields[3], fields[4], None)
        elif kind == "cgroup" and len(rest) > 1:
            yield _Mount(fields[3], fields[4], frozenset(rest[1].split(",")))


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]


def _lines(path: Path) -> list[str]:
    """None where there is no such file: not Linux, the top group, a controller that is off."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
