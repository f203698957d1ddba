"""Raw files of a data set, identified by their content: names, sizes and times may be equal for other content."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mamlbench.atomic_write import write_atomically
from mamlbench.data.progress import REPORT_SECONDS, ProgressCallback, no_progress

SETTLED_NANOSECONDS = 100_000_000
"""Age of a file's last change from which its times are trusted: two changes within one tick of the clock (up to 10 ms)
have the same time."""

COARSE_NANOSECONDS = 10_000_000
"""Resolution of times on file systems such as FAT, where the time of change may also be the time of creation."""

MEMORY = "contents"
"""Folder in the cache folder with the remembered content hashes."""


class RawFile(NamedTuple):
    """A file and the name that it has in the data set, which does not depend on where it is."""

    name: str
    path: Path


class _State(NamedTuple):
    text: str
    settled: bool


class RawFiles:
    """The files that a data set is made of.

    Args:
        files: in any order.
        cache: the cache folder, which remembers the hashes of files that have not changed since.
    """

    def __init__(self, files: Iterable[RawFile], cache: Path) -> None:
        self.files = tuple(sorted(files))
        self.cache = cache

    def content_hash(self, progress: ProgressCallback = no_progress) -> str:
        """Hash names and bytes of all files: 64 hexadecimal digits. What cannot be read counts as unreadable.

        It is remembered for files with the same path, size, inode, times of modification and of change. Only the
        system sets the time of change, so that content cannot be exchanged without it, as it can with equal names,
        sizes and times of modification (``tar --mtime``, ``rsync --times``).
        """
        before = self.state()
        if (remembered := self._remembered(before)) is not None:
            return remembered
        digest = hashlib.sha256()
        last_report = time.monotonic()
        for number, file in enumerate(self.files):
            digest.update(f"{file.name}\0{_file_hash(file.path)}\n".encode(errors="surrogateescape"))
            if time.monotonic() - last_report > REPORT_SECONDS:  # few files are hashed before anyone could read it
                last_report = time.monotonic()
                progress("raw files", number + 1, len(self.files))
        if before.settled and self.state() == before:
            with suppress(OSError):  # a cache folder that cannot be written costs the time of hashing again
                path = self._memory(before)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, json.dumps({"content": digest.hexdigest()}).encode())
        return digest.hexdigest()

    def remembered_hash(self) -> str | None:
        """Return the content hash without reading a file; None if it is not remembered."""
        return self._remembered(self.state())

    def state(self) -> _State:
        """Return paths, sizes, inodes and times of all files, and whether they vouch for the content."""
        states = list(_file_states(self.files, time.time_ns()))
        return _State("\n".join(text for text, _ in states), all(settled for _, settled in states))

    def _memory(self, state: _State) -> Path:
        digest = hashlib.sha256(state.text.encode(errors="surrogateescape"))
        return self.cache / MEMORY / f"{digest.hexdigest()[:32]}.json"

    def _remembered(self, state: _State) -> str | None:
        if not state.settled:
            return None
        try:
            content = json.loads(self._memory(state).read_bytes())["content"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return content if isinstance(content, str) and re.fullmatch("[0-9a-f]{64}", content) else None


def _file_states(files: Iterable[RawFile], now: int) -> Iterator[_State]:
    for name, path in files:
        try:
            state = path.stat()
        except OSError as error:
            yield _State(f"{name} {path} {error.errno}", False)
            continue
        times = f"{state.st_mtime_ns} {state.st_ctime_ns}"
        settled = (
            os.name == "posix"  # elsewhere the second time is that of creation
            and now - state.st_ctime_ns > SETTLED_NANOSECONDS
            and state.st_ctime_ns % COARSE_NANOSECONDS != 0
        )
        yield _State(f"{name} {path.absolute()} {state.st_size} {times} {state.st_ino}", settled)


def _file_hash(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe may never end
            return "unreadable"
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()
    except OSError:
        return "unreadable"  # the preparation names all such files
