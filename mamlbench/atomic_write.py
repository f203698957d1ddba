"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mamlbench.process_identity import LONGEST_OWNER, owner_has_ended, owner_name

ABANDONED_SECONDS = 24 * 3600.0
"""Age after which a temporary file of another machine, or of an early release, counts as left by a killed process."""

LONGEST_NAME = 255
"""Bytes of a file's name on most file systems."""

_TEMPORARY = re.compile(r"\..*\.(?P<owner>[^.]+)\.tmp", re.DOTALL)

_NO_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EBADF}
"""Errors of systems on which a folder cannot be opened or flushed: Windows, some network file systems."""

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
"""Errors of file systems without hard links: FAT, some FUSE and SMB ones."""


_unfinished: set[Path] = set()
"""Temporary files that are being written."""


def remove_unfinished() -> None:
    """Remove the temporary files of this process, which is about to end without going through its ``finally``."""
    for path in tuple(_unfinished):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the whole of it or nothing, even after a power failure.

    Raises OSError if it cannot be written.
    """
    with replaced_when_complete(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replaced_when_complete(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside ``path``; afterwards flush it to disk and rename it to ``path``.

    After an error ``path`` is as it was before. Several threads, processes and machines may write at once: each call
    has a temporary file of its own, ``.NAME.OWNER.tmp``, which only a process that is killed leaves behind;
    ``remove_abandoned`` removes it.

    Raises OSError if the file cannot be written or renamed, and whatever is raised inside.
    """
    temporary = temporary_path(path)
    _unfinished.add(temporary)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # the rename may reach the disk before the content does
        temporary.replace(path)
        flush_folder(path.parent)
    finally:
        with suppress(OSError):  # what is raised inside says more
            temporary.unlink(missing_ok=True)
        _unfinished.discard(temporary)


def write_new_file(path: Path, content: bytes) -> bool:
    """Write a file as ``write_atomically`` does, unless there is one: then return False, and nothing is changed.

    Raises OSError if it cannot be written.
    """
    descriptor = create_exclusively(path, content, flush=True)
    if descriptor is None:
        return False
    os.close(descriptor)
    flush_folder(path.parent)
    return True


def create_exclusively(path: Path, content: bytes, *, flush: bool = False) -> int | None:
    """Create a file with this content; of several callers, on a shared folder too, only one succeeds.

    Returns a descriptor of the file to write more to it, or None if the file exists. With ``flush`` the content is on
    the disk before the file has its name. Raises OSError if the file cannot be created.
    """
    temporary = temporary_path(path)
    descriptor = _create(temporary)
    _unfinished.add(temporary)
    try:
        _write_all(descriptor, content)
        if flush:
            os.fsync(descriptor)
        if _link(temporary, path, descriptor):
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    finally:
        temporary.unlink(missing_ok=True)
        _unfinished.discard(temporary)
    os.close(descriptor)
    return None


def _link(temporary: Path, path: Path, descriptor: int) -> bool:
    """Give the temporary file its final name, unless that exists."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return os.fstat(descriptor).st_nlink == 2  # NFS: the link was made, but the answer was lost and it asked again
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _copy(temporary, path, descriptor)
    return True


def _copy(temporary: Path, path: Path, descriptor: int) -> bool:
    """Without hard links: create the file under its final name, where readers may see it empty for a moment."""
    try:
        copy = _create(path)
    except FileExistsError:
        return False
    try:
        _write_all(copy, temporary.read_bytes())
        os.dup2(copy, descriptor, inheritable=False)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(copy)
    return True


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def _write_all(descriptor: int, content: bytes) -> None:
    """Write everything: on a disk that is almost full, one call writes a part and only the next one fails."""
    while content:
        content = content[os.write(descriptor, content) :]


def temporary_path(path: Path) -> Path:
    """A new path for the temporary file that is written first; its name says which process of which machine it is."""
    return path.with_name(f"{_beginning(path.name)}{owner_name()}.tmp")


def _beginning(name: str) -> str:
    """How the names of the temporary files of a file begin; a long name is cut, so that they fit."""
    longest = LONGEST_NAME - len("..") - LONGEST_OWNER - len(".tmp")  # the same in every process
    return f".{os.fsencode(name)[:longest].decode(errors='ignore')}."


def remove_abandoned(folder: Path, name: str | None = None) -> list[Path]:
    """Remove the temporary files of killed processes in ``folder``: all of them, or those of the file ``name``.

    Returns what was removed. A file that cannot be removed stays.
    """
    beginning = "." if name is None else _beginning(name)
    removed = []
    with suppress(OSError):
        for path in [path for path in folder.iterdir() if path.name.startswith(beginning)]:
            match = _TEMPORARY.fullmatch(path.name)
            with suppress(OSError):  # another process was faster
                if match is not None and is_abandoned(path, match["owner"]):
                    path.unlink()
                    removed.append(path)
    return removed


def is_abandoned(path: Path, owner: str) -> bool:
    """Whether the process has ended that wrote ``path``; ``owner`` is its ``owner_name``.

    What another machine wrote counts as abandoned after a day. Its age is measured by the file system, which has one
    clock: this machine's may have jumped.

    Raises OSError if the file or its folder cannot be looked at.
    """
    ended = owner_has_ended(owner)
    if ended is not None:
        return ended
    with tempfile.TemporaryFile(dir=path.parent) as now:
        return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime > ABANDONED_SECONDS


def flush_folder(folder: Path) -> None:
    """Flush a folder to disk, so that a name given to a file inside outlives a power failure; nothing on Windows.

    Raises OSError if the disk fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
