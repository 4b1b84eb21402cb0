"""Tar archives for tests: made by Python's `tarfile`, and by the programs that people have."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

HARD, SYM = tarfile.LNKTYPE, tarfile.SYMTYPE


def pack(members, form=tarfile.PAX_FORMAT, comment=None):
    """A tar of (name, bytes); instead of bytes None makes a folder, (HARD or SYM, target) a link, a type that type.

    A comment stands in a global header, where the format has such.
    """
    buffer = io.BytesIO()
    comments = {"comment": comment} if comment else None
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape", pax_headers=comments) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(data, tuple):
                info.type, info.linkname = data
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return buffer.getvalue()


def find_programs():
    """`gnu` and `bsd`, those that are installed here, and their commands."""
    found = {}
    for command in ("tar", "gtar", "bsdtar"):
        if path := shutil.which(command):
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            found.setdefault("gnu" if "GNU" in version else "bsd", path)
    return found


PROGRAMS = find_programs()
_FORMATS = {"gnu": ("v7", "oldgnu", "gnu", "ustar", "posix"), "bsd": ("v7", "ustar", "gnutar", "pax")}
PROGRAM_FORMATS = [(program, form) for program in sorted(PROGRAMS) for form in _FORMATS[program]]


def pack_folder(folder: Path, program: str, form: str, *options: str, by_name: bool = True) -> bytes:
    """The tar of what is below a folder, whose names start with `./`; `by_name` in their order, else as they come."""
    command = [PROGRAMS[program], f"--format={form}", *options, "-cf", "-", "-C", str(folder)]
    names = [f"./{path.relative_to(folder)}" for path in sorted(folder.rglob("*"))] if by_name else []
    command += ["--no-recursion", "--null", "-T", "-"] if by_name else ["."]
    return subprocess.run(command, input="\0".join(names).encode(), capture_output=True, check=True).stdout
