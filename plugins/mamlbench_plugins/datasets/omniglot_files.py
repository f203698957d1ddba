"""Omniglot's files: where they are looked for, in which forms, and how one drawing is read."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from mamlbench.api import DataPaths
from mamlbench.errors import DataError, summarize_names
from mamlbench_plugins.datasets.downloads import searched_folders

HALVES = ("images_background", "images_evaluation")
"""30 alphabets to learn from and 20 to evaluate on, as Lake et al. published them."""

LAYOUTS = ("", "omniglot", "omniglot-py", "omniglot/omniglot-py", "python", "omniglot/python")
"""Where both halves may lie in a folder that the user names: ours, torchvision's, the official repository's."""

UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file or archive raises; RuntimeError where it is encrypted or cached in an unknown way."""

MEND = "extract or download it again (https://github.com/brendenlake/omniglot)."

Read = Callable[[str], bytes]
"""Bytes of a drawing, named "Alphabet/characterNN/NAME.png"."""


@dataclass(frozen=True)
class Half(ABC):
    """One of the two halves, as a folder or a zip archive."""

    path: Path

    @abstractmethod
    def entries(self) -> tuple[list[str], set[str]]:
        """Drawings "Alphabet/characterNN/NAME.png", and all class folders, with drawings or without."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when the files do; asks for no decoding, and not where the half lies."""

    @abstractmethod
    def reader(self) -> AbstractContextManager[Read]:
        """Return a function that reads drawings, open as long as the context."""

    def drawings(self) -> list[str]:
        """Names of all drawings, in no order. Raises DataError where there is none, or a class has none."""
        found, classes = self.entries()
        if not found:
            raise DataError(f"'{self.path}' holds no Alphabet/characterNN/NAME.png: {MEND}")
        empty = sorted(classes - {name.rpartition("/")[0] for name in found})
        if empty:
            raise DataError(f"'{self.path}' holds character folders without drawings, {summarize_names(empty)}: {MEND}")
        return found


class FolderHalf(Half):
    """Loose files ``Alphabet/characterNN/NAME.png``."""

    def entries(self) -> tuple[list[str], set[str]]:
        with self._complaining():
            found = self._walk()
        return [f"{name}/{drawing.name}" for name, drawings in found.items() for drawing in drawings], set(found)

    def fingerprint(self) -> str:
        with self._complaining():
            states = [
                f"{name}/{drawing.name} {drawing.stat().st_size} {drawing.stat().st_mtime_ns}"
                for name, drawings in self._walk().items()
                for drawing in drawings
            ]
        return "\n".join(sorted(states))

    def _walk(self) -> dict[str, list[os.DirEntry[str]]]:
        """Drawings of each class folder, in the order of the file system."""
        return {
            f"{alphabet.name}/{character.name}": _drawings(character.path)
            for alphabet in _folders(self.path)
            for character in _folders(alphabet.path)
        }

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"'{self.path}' cannot be read ({error}): check its permissions and links.") from error

    def reader(self) -> AbstractContextManager[Read]:
        return nullcontext(lambda name: (self.path / name).read_bytes())


def _folders(path: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return [each for each in entries if not _is_litter(each.name) and each.is_dir()]


def _drawings(path: str) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return [each for each in entries if _is_drawing(each.name)]


class ZipHalf(Half):
    """An archive of such files, under a folder of the half's name."""

    def entries(self) -> tuple[list[str], set[str]]:
        with self._open() as archive:
            names = [self._name(member) for member in archive.namelist()]
        names = [name for name in names if name.count("/") == 2 and not any(map(_is_litter, name.split("/")))]
        classes = {name.rpartition("/")[0] for name in names}  # "Alphabet/characterNN/" stands for the folder itself
        return [name for name in names if _is_drawing(name)], classes

    def fingerprint(self) -> str:
        status = self.path.stat()
        return f"{self.path.name} {status.st_size} {status.st_mtime_ns}"

    @contextmanager
    def reader(self) -> Iterator[Read]:
        with self._open() as archive:
            members = {self._name(member): member for member in archive.namelist()}
            yield lambda name: archive.read(members[name])

    def _name(self, member: str) -> str:
        return member.removeprefix(f"{self.path.stem}/")

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except UNREADABLE as error:
            raise DataError(
                f"The archive '{self.path}' cannot be read, it seems damaged or cut short ({error}): "
                "delete it, and download it again from https://github.com/brendenlake/omniglot."
            ) from error


def _is_drawing(name: str) -> bool:
    return name.lower().endswith(".png") and not _is_litter(name.rpartition("/")[2])


def _is_litter(name: str) -> bool:
    """What desktops leave behind: '.DS_Store', '._0709_01.png', '__MACOSX'."""
    return name.startswith((".", "__"))


@dataclass(frozen=True)
class OmniglotFiles:
    """Both halves, found in one place."""

    background: Half
    evaluation: Half

    @property
    def halves(self) -> tuple[Half, Half]:
        """Background and evaluation."""
        return self.background, self.evaluation

    @property
    def origin(self) -> str:
        """The form in which they were found."""
        kinds = {type(half) for half in self.halves}
        if len(kinds) == 2:
            return "a zip archive and a folder"
        return "zip archives" if kinds == {ZipHalf} else "folders"

    def cache_key(self) -> str:
        """What a prepared set hangs on: sizes and times of the files, not their contents nor where they lie."""
        return hashlib.sha256("\n\n".join(half.fingerprint() for half in self.halves).encode()).hexdigest()


def find_files(paths: DataPaths) -> OmniglotFiles | None:
    """Return both halves from the first place that has them, or None.

    Raises DataError where a place has one half only, or may not be read.
    """
    for _, folder in searched_folders(paths):
        for layout in LAYOUTS:
            found = _files_in(folder / layout)
            if found:
                return found
    return None


def _files_in(folder: Path) -> OmniglotFiles | None:
    try:
        halves = [_half(folder, name) for name in HALVES]
    except OSError as error:
        raise DataError(f"'{folder}' cannot be searched for Omniglot ({error}): check its permissions.") from error
    match halves:
        case [None, None]:
            return None
        case [Half() as background, Half() as evaluation]:
            return OmniglotFiles(background, evaluation)
        case _:
            present, missing = HALVES if halves[0] else reversed(HALVES)
            raise DataError(
                f"'{folder}' holds one half of Omniglot only, {present}: put {missing}.zip beside it "
                "(https://github.com/brendenlake/omniglot, folder python), or name another folder with --data-dir."
            )


def _half(folder: Path, name: str) -> Half | None:
    """The archive before the folder: two files say faster than 32,460 whether anything changed."""
    if (folder / f"{name}.zip").is_file():
        return ZipHalf(folder / f"{name}.zip")
    return FolderHalf(folder / name) if (folder / name).is_dir() else None
