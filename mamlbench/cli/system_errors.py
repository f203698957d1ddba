"""Errors of the system that are nobody's mistake, and what to do about each."""

from __future__ import annotations

import errno
import os

from mamlbench.errors import one_line

_REMEDIES = {
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ELOOP: "a link leads back to itself",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space: the quota is used up",
    errno.EFBIG: "raise the limit on the size of files",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "change its permissions, or choose another",
    errno.EPERM: "change its permissions, or choose another",
    errno.EMFILE: "raise the limit on open files",
    errno.EIO: "the disk may be damaged",
}


def explain_system_error(error: BaseException) -> str | None:
    """Return one sentence with what to do about a full disk, a name that is too long, ...; None for other errors."""
    if not isinstance(error, OSError) or error.errno not in _REMEDIES:
        return None
    name = f" '{one_line(os.fsdecode(error.filename), 200)}'" if isinstance(error.filename, str | bytes) else ""
    return f"{error.strerror}{name and f':{name}'}; {_REMEDIES[error.errno]}."
