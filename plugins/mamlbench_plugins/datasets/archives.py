"""Where files lie: in a folder, a zip archive or a tar archive, all read in the same way."""

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
"""Names of archives."""

UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, zlib.error)
"""What reading a damaged or encrypted archive raises."""


@dataclass(frozen=True)
class Store(ABC):
    """Files with names relative to ``path``, '/' between their parts."""

    path: Path

    @abstractmethod
    def names(self) -> list[str]:
        """All files, in no order. Raises DataError where the store cannot be read."""

    @abstractmethod
    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        """Content of the wanted files, or why there is none, in whatever order is fastest."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when files do; nothing is decoded, and where the store lies plays no part."""

    @contextmanager
    def complaining(self) -> Iterator[None]:
        """Turn what reading raises into a DataError that names the store."""
        try:
            yield
        except UNREADABLE as error:
            raise DataError(
                f"'{self.path}' cannot be read ({error}): check its permissions, or bring it here again if it is "
                "damaged or cut short."
            ) from error


class FolderStore(Store):
    """Loose files below a folder; hidden ones are left out."""

    def names(self) -> list[str]:
        with self.complaining():
            return [name for name, _ in self._walk(str(self.path), "")]

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        for name in sorted(wanted):
            try:
                yield name, (self.path / name).read_bytes()
            except OSError as error:
                yield name, error

    def fingerprint(self) -> str:
        with self.complaining():
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
    """One file as a whole."""

    def fingerprint(self) -> str:
        with self.complaining():
            state = self.path.stat()
        return f"{self.path.name} {state.st_size} {state.st_mtime_ns}"

    def names(self) -> list[str]:
        return [self.path.name]

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        for name in wanted:
            try:
                yield name, self.path.read_bytes()
            except OSError as error:
                yield name, error


class ZipStore(FileStore):
    """A zip archive."""

    def names(self) -> list[str]:
        with self.complaining(), zipfile.ZipFile(self.path) as archive:
            return [info.filename for info in archive.infolist() if not info.is_dir()]

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        wanted = set(wanted)
        with self.complaining(), zipfile.ZipFile(self.path) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
                if info.filename in wanted:
                    try:
                        content: bytes | Exception = archive.read(info)
                    except UNREADABLE as error:
                        content = error
                    yield info.filename, content


class TarStore(FileStore):
    """A tar archive, compressed or not; it is read from its beginning to its end."""

    def names(self) -> list[str]:
        with self.complaining(), tarfile.open(self.path) as archive:
            return [member.name.removeprefix("./") for member in archive if member.isfile()]

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        wanted = set(wanted)
        with self.complaining(), tarfile.open(self.path) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name in wanted and member.isfile():
                    file = archive.extractfile(member)
                    yield name, file.read() if file is not None else OSError("no content")


def archives_in(folder: Path) -> list[Store]:
    """The archives that lie in ``folder`` itself, by name."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.lower().endswith(ARCHIVES) and path.is_file())
    except OSError as error:
        raise DataError(f"'{folder}' cannot be searched ({error}): check its permissions.") from error
    visible = [path for path in paths if not path.name.startswith(".")]
    return [ZipStore(path) if path.suffix.lower() == ".zip" else TarStore(path) for path in visible]
