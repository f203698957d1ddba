"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the whole of it or nothing, even after a power failure.

    Raises OSError if it cannot be written.
    """
    with replaced_when_complete(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replaced_when_complete(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside ``path``; afterwards flush it to disk and rename it to ``path``.

    After an error ``path`` is as it was before. Several processes may write at once: each has a temporary file of its
    own, ``.NAME.PID.tmp``, which only a process that is killed leaves behind.

    Raises OSError if the file cannot be written or renamed, and whatever is raised inside.
    """
    temporary = temporary_path(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # the rename may reach the disk before the content does
        temporary.replace(path)
    finally:
        with suppress(OSError):  # what is raised inside says more
            temporary.unlink(missing_ok=True)


def temporary_path(path: Path, process: int | str | None = None) -> Path:
    """The temporary file that a process (default: this one) writes first; ``process`` may be ``*``, for a pattern."""
    return path.with_name(f".{path.name}.{os.getpid() if process is None else process}.tmp")
