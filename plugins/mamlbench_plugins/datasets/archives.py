"""Files in a folder, a zip archive or a tar archive, read through one interface."""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mamlbench.errors import DataError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz")
"""Suffixes of archives."""

UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, zlib.error)
"""Exceptions raised by reading a damaged or encrypted archive."""


@dataclass(frozen=True)
class Store(ABC):
    """Files below ``path``, by names relative to it with '/' between the parts."""

    path: Path

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all files, unordered. Raises DataError if the store cannot be read."""

    @abstractmethod
    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        """Yield the content of files, or the exception raised by reading them, in the fastest order."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a text that changes with the files, without decoding them; it does not depend on ``path``."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Convert exceptions raised by reading to a DataError that names the store."""
        try:
            yield
        except UNREADABLE as error:
            raise DataError(
                f"'{self.path}' cannot be read ({error}): check its permissions, or copy or download it again if it is "
                "damaged."
            ) from error


class FolderStore(Store):
    """Files below a folder, without hidden files."""

    def names(self) -> list[str]:
        with self.reading():
            return [name for name, _ in self._walk(str(self.path), "")]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        for name in sorted(names):
            try:
                yield name, (self.path / name).read_bytes()
            except OSError as error:
                yield name, error

    def fingerprint(self) -> str:
        with self.reading():
            states = ((name, entry.stat()) for name, entry in self._walk(str(self.path), ""))
            return "\n".join(sorted(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states))

    def _walk(self, folder: str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith((".", "__")):
                    continue
                if entry.is_dir():
                    yield from self._walk(entry.path, f"{prefix}{entry.name}/")
                else:
                    yield f"{prefix}{entry.name}", entry


class FileStore(Store):
    """A single file."""

    def fingerprint(self) -> str:
        with self.reading():
            state = self.path.stat()
        return f"{self.path.name} {state.st_size} {state.st_mtime_ns}"

    def names(self) -> list[str]:
        return [self.path.name]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        for name in names:
            try:
                yield name, self.path.read_bytes()
            except OSError as error:
                yield name, error


class ZipStore(FileStore):
    """A zip archive."""

    def names(self) -> list[str]:
        with self.reading(), zipfile.ZipFile(self.path) as archive:
            return [info.filename for info in archive.infolist() if not info.is_dir()]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        requested = set(names)
        with self.reading(), zipfile.ZipFile(self.path) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
                if info.filename in requested:
                    try:
                        content: bytes | Exception = archive.read(info)
                    except UNREADABLE as error:
                        content = error
                    yield info.filename, content


class TarStore(FileStore):
    """A tar archive, compressed or not, read sequentially."""

    def names(self) -> list[str]:
        with self.reading(), tarfile.open(self.path) as archive:
            return [member.name.removeprefix("./") for member in archive if member.isfile()]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        requested = set(names)
        with self.reading(), tarfile.open(self.path) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name in requested and member.isfile():
                    file = archive.extractfile(member)
                    yield name, file.read() if file is not None else OSError("no content")


def archives_in(folder: Path) -> list[Store]:
    """Return the archives in ``folder``, without its subfolders, sorted by name."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.lower().endswith(ARCHIVES) and path.is_file())
    except OSError as error:
        raise DataError(f"'{folder}' cannot be searched ({error}): check its permissions.") from error
    visible = [path for path in paths if not path.name.startswith(".")]
    return [ZipStore(path) if path.suffix.lower() == ".zip" else TarStore(path) for path in visible]
