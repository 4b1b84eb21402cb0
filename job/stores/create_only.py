"""A finished file gets a name that nothing has yet, whole or not at all, whatever the file system.

Not by a file that is opened for itself alone and then written: a reader would see half of it, and a crash leave it.
"""

import ctypes
import errno
import os

from job.errors import StoreError

# exFAT, vFAT and FUSE's file systems say EPERM or ENOSYS, CIFS EOPNOTSUPP.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)
_NO_SUCH_RENAME = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


def give_new_name(finished: str, path: str) -> None:
    """Raises FileExistsError where the name is taken, StoreError where the file system has no way to find that out.

    `finished` lies in the same folder, and may be gone afterwards.
    """
    try:
        os.link(finished, path)  # made whole or not at all, and refuses a name that is taken; a rename would replace it
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_to_new(finished, path)


def _rename_to_new(finished: str, path: str) -> None:
    """Linux's rename that replaces nothing: exFAT, vFAT and CIFS have it, where they have no links."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    failed = errno.ENOSYS
    if rename is not None:
        if not rename(_AT_FDCWD, os.fsencode(finished), _AT_FDCWD, os.fsencode(path), _RENAME_NOREPLACE):
            return
        failed = ctypes.get_errno()
    if failed in _NO_SUCH_RENAME:
        raise StoreError(
            f"{path}: the file system there has neither hard links nor a rename that replaces nothing, so two drivers "
            "of one run could overwrite each other; name a bucket (s3://, gs://, az://) or a folder of another disk"
        )
    raise OSError(failed, os.strerror(failed), path)
