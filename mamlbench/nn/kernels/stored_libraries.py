"""Files of compiled kernels: which of them may be loaded.

To load a library is to run its code. So one is loaded only from a folder that nobody else can change, and if its
content is what was compiled here: its name has a hash of source, compiler, flags and processor, and one of the content.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from pathlib import Path

from mamlbench.atomic_write import replaced_when_complete

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def who_else_could_change(folder: Path) -> str | None:
    """Say who, beside this user and the administrator, could put a file into a folder; None if nobody can.

    A folder above it counts too, because who can write there can put another in its place; not if it has the sticky
    bit, as ``/tmp`` has. Windows has no such owners and permissions, and there the answer is None.

    Raises OSError if the folder cannot be looked at.
    """
    if not hasattr(os, "geteuid"):
        return None
    path = folder.resolve(strict=True)
    for part in (path, *path.parents):
        status = part.stat()
        if status.st_uid not in (0, os.geteuid()):
            return f"'{part}' belongs to another user"
        shared = status.st_mode & _OTHERS_MAY_WRITE
        if part != path and status.st_mode & stat.S_ISVTX:
            continue
        if shared & stat.S_IWOTH or (shared and not _is_private_group(status.st_gid)):
            return f"others may write to '{part}'"
    return None


def _is_private_group(group: int) -> bool:
    """Whether a group is this user's own, as many systems make one for each user, named like the user."""
    import grp
    import pwd

    try:
        user, members = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return user.pw_gid == group and members.gr_name == user.pw_name and set(members.gr_mem) <= {user.pw_name}


def stored_library(folder: Path, name: str) -> Path | None:
    """Find the library with this name; remove those that are damaged, links, or could have been changed by others.

    Raises OSError if the folder cannot be read.
    """
    for path in sorted(folder.glob(f"{name}-*.so")):
        if _is_own_file(path) and path.stem == f"{name}-{_hash(path.read_bytes())}":
            return path
        logging.getLogger("mamlbench").warning("'%s' is not what was compiled here, and is compiled again.", path)
        path.unlink()
    return None


def _is_own_file(path: Path) -> bool:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return False
    return not hasattr(os, "geteuid") or (status.st_uid in (0, os.geteuid()) and not status.st_mode & _OTHERS_MAY_WRITE)


def store_library(folder: Path, name: str, content: bytes) -> Path:
    """Write a library under this name and the hash of its content; return its path.

    Several processes may do so at once. Raises OSError if the folder cannot be written.
    """
    path = folder / f"{name}-{_hash(content)}.so"
    with replaced_when_complete(path) as temporary:
        temporary.write_bytes(content)
        temporary.chmod(0o700)
    return path


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
