"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    has a temporary file of its own, ``.NAME.PID-RANDOM.tmp``, which only a process that is killed leaves behind.

    Raises OSError if the file cannot be written or renamed, and whatever is raised inside.
    """
    temporary = temporary_path(path)
    _unfinished.add(temporary)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # the rename may reach the disk before the content does
        temporary.replace(path)
    finally:
        with suppress(OSError):  # what is raised inside says more
            temporary.unlink(missing_ok=True)
        _unfinished.discard(temporary)


def create_exclusively(path: Path, content: bytes) -> int | None:
    """Create a file with this content; of several callers, on a shared folder too, only one succeeds.

    Returns a descriptor of the file to write more to it, or None if the file exists. The content is not flushed.
    Raises OSError if the file cannot be created.
    """
    temporary = temporary_path(path)
    descriptor = _create(temporary)
    try:
        os.write(descriptor, content)
        if _link(temporary, path, descriptor):
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    finally:
        temporary.unlink(missing_ok=True)
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
    os.write(copy, temporary.read_bytes())
    os.dup2(copy, descriptor, inheritable=False)
    os.close(copy)
    return True


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def temporary_path(path: Path, process: int | str | None = None) -> Path:
    """The temporary file that is written first, of this process by default; ``process`` may be ``*``, for a pattern.

    A thread, or a process with the same number on another machine, gets another one: the name has a random part.
    """
    owner = f"{os.getpid()}-{secrets.token_hex(4)}" if process is None else process
    return path.with_name(f".{path.name}.{owner}.tmp")
