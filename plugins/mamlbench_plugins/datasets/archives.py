"""Files in a folder, a zip archive or a tar archive, read through one interface."""

from __future__ import annotations

import stat
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mamlbench.api import ImageTree
from mamlbench.errors import DataError
from mamlbench_plugins.datasets.archive_entries import MAX_FILE, UNREADABLE, open_archive

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz")
"""Suffixes of archives."""


@dataclass(frozen=True)
class Store(ABC):
    """Files below ``path``, by names relative to it with '/' between the parts."""

    path: Path

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all files, unordered. Raises DataError if the store cannot be read."""

    @abstractmethod
    def folders(self) -> list[str]:
        """Return the names of all folders below, unordered, as far as the store knows them."""

    @abstractmethod
    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        """Yield the content of files, or the exception raised by reading them, in the fastest order."""

    @abstractmethod
    def raw_files(self, names: Collection[str]) -> list[tuple[str, Path]]:
        """Return the files on disk that hold these names, each with a name that does not depend on ``path``."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Convert exceptions raised by reading to a DataError that names the store."""
        try:
            yield
        except UNREADABLE as error:
            raise DataError(
                f"'{self.path}' cannot be read ({in_one_line(error)}): check its permissions, or copy or download it "
                "again if it is damaged."
            ) from error


class FolderStore(Store):
    """Files below a folder, without hidden files."""

    def names(self) -> list[str]:
        with self.reading():
            return ImageTree.walk(self.path)[0]

    def folders(self) -> list[str]:
        with self.reading():
            return ImageTree.walk(self.path)[1]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        for name in sorted(names):
            try:
                yield name, read_regular_file(self.path / name)
            except OSError as error:
                yield name, error

    def raw_files(self, names: Collection[str]) -> list[tuple[str, Path]]:
        return [(name, self.path / name) for name in names]


class FileStore(Store):
    """A single file."""

    def raw_files(self, names: Collection[str]) -> list[tuple[str, Path]]:
        return [(self.path.name, self.path)]

    def names(self) -> list[str]:
        return [self.path.name]

    def folders(self) -> list[str]:
        return []

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        for name in names:
            try:
                yield name, read_regular_file(self.path)
            except OSError as error:
                yield name, error


class ArchiveStore(FileStore):
    """A zip or tar archive; a tar archive is read from its beginning to its end."""

    def names(self) -> list[str]:
        with self.reading(), open_archive(self.path) as entries:
            return [entry.name for entry in entries if not entry.is_folder]

    def folders(self) -> list[str]:
        with self.reading(), open_archive(self.path) as entries:
            return [entry.name.rstrip("/") for entry in entries if entry.is_folder]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        requested = set(names)
        with self.reading(), open_archive(self.path) as entries:
            for entry in entries:
                if entry.name in requested and not entry.is_folder:
                    try:
                        content: bytes | Exception = entry.read()
                    except UNREADABLE as error:
                        content = error
                    yield entry.name, content


def read_regular_file(path: Path) -> bytes:
    """Read a whole file. Raises OSError if it is a pipe or a device, which may never end, or is far too large."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is not a regular file")
    if status.st_size > MAX_FILE:
        raise OSError(f"it has {status.st_size:,} bytes; up to {MAX_FILE:,} are read")
    return path.read_bytes()


def in_one_line(error: Exception) -> str:
    """What an exception says, or its name if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def archives_in(folder: Path) -> list[Store]:
    """Return the archives in ``folder``, without its subfolders, sorted by name."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.lower().endswith(ARCHIVES) and path.is_file())
    except OSError as error:
        raise DataError(f"'{folder}' cannot be searched ({error}): check its permissions.") from error
    visible = [path for path in paths if not path.name.startswith(".")]
    return [ArchiveStore(path) for path in visible]
