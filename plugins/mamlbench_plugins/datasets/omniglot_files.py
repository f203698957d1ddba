"""Files of Omniglot: finds its two halves as zip archives or folders, and reads drawings from them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from mamlbench.api import DataError, DataPaths, summarize_names
from mamlbench_plugins.datasets.archive_entries import UNREADABLE, ArchiveEntry, open_archive
from mamlbench_plugins.datasets.downloads import searched_folders

HALVES = ("images_background", "images_evaluation")
"""The background set of 30 alphabets and the evaluation set of 20, as Lake et al. published them."""

LAYOUTS = ("", "omniglot", "omniglot-py", "omniglot/omniglot-py", "python", "omniglot/python")
"""Subfolders that may hold both halves, in the layouts of mamlbench, torchvision and the official repository."""

REMEDY = "extract or download it again (https://github.com/brendenlake/omniglot)."

DrawingReader = Callable[[str], bytes]
"""Reads the bytes of a drawing by its name, "Alphabet/characterNN/NAME.png"."""


@dataclass(frozen=True)
class OmniglotHalf(ABC):
    """One of the two halves, as a folder or a zip archive."""

    path: Path

    @abstractmethod
    def entries(self) -> tuple[list[str], set[str]]:
        """Return the drawings "Alphabet/characterNN/NAME.png", and all class folders, even those without drawings."""

    @abstractmethod
    def raw_files(self) -> list[tuple[str, Path]]:
        """Return the files that hold the drawings, each with a name that does not depend on ``path``."""

    @abstractmethod
    def reader(self) -> AbstractContextManager[DrawingReader]:
        """Return a context whose value reads drawings."""

    def drawings(self) -> list[str]:
        """Return the names of all drawings, unordered. Raises DataError if there are none, or a class has none."""
        drawings, classes = self.entries()
        if not drawings:
            raise DataError(f"'{self.path}' holds no Alphabet/characterNN/NAME.png: {REMEDY}")
        empty = sorted(classes - {name.rpartition("/")[0] for name in drawings})
        if empty:
            raise DataError(
                f"'{self.path}' holds character folders without drawings, {summarize_names(empty)}: {REMEDY}"
            )
        return drawings


class FolderHalf(OmniglotHalf):
    """A folder with files ``Alphabet/characterNN/NAME.png``."""

    def entries(self) -> tuple[list[str], set[str]]:
        with self._reading():
            classes = self._walk()
        return [f"{name}/{drawing.name}" for name, drawings in classes.items() for drawing in drawings], set(classes)

    def raw_files(self) -> list[tuple[str, Path]]:
        return [(f"{self.path.name}/{name}", self.path / name) for name in self.entries()[0]]

    def _walk(self) -> dict[str, list[os.DirEntry[str]]]:
        """Return the drawings of each class folder, in the order of the file system."""
        return {
            f"{alphabet.name}/{character.name}": _drawings(character.path)
            for alphabet in _folders(self.path)
            for character in _folders(alphabet.path)
        }

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Convert an OSError to a DataError that names the folder."""
        try:
            yield
        except OSError as error:
            raise DataError(f"'{self.path}' cannot be read ({error}): check its permissions and links.") from error

    def reader(self) -> AbstractContextManager[DrawingReader]:
        return nullcontext(lambda name: (self.path / name).read_bytes())


def _folders(path: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return [entry for entry in entries if not _is_hidden(entry.name) and entry.is_dir()]


def _drawings(path: str) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return [entry for entry in entries if _is_drawing(entry.name)]


class ZipHalf(OmniglotHalf):
    """A zip archive of such files, in a folder with the name of the half."""

    def entries(self) -> tuple[list[str], set[str]]:
        with self._opened() as entries:
            parts = [(self._name(entry).split("/"), entry.is_folder) for entry in entries]
        parts = [(name, is_folder) for name, is_folder in parts if not any(map(_is_hidden, name))]
        classes = {"/".join(name[:2]) for name, is_folder in parts if len(name) == 3 - is_folder}
        drawings = ["/".join(name) for name, is_folder in parts if len(name) == 3 and not is_folder]
        return [name for name in drawings if _is_drawing(name)], classes

    def raw_files(self) -> list[tuple[str, Path]]:
        return [(self.path.name, self.path)]

    @contextmanager
    def reader(self) -> Iterator[DrawingReader]:
        with self._opened() as entries:
            by_name = {self._name(entry): entry for entry in entries}
            yield lambda name: by_name[name].read()

    def _name(self, entry: ArchiveEntry) -> str:
        return entry.name.removeprefix(f"{self.path.stem}/")

    @contextmanager
    def _opened(self) -> Iterator[list[ArchiveEntry]]:
        """Yield the entries of the archive. Raises DataError if it cannot be read or is refused."""
        try:
            with open_archive(self.path, only="zip") as entries:
                yield list(entries)
        except UNREADABLE as error:
            raise DataError(
                f"The archive '{self.path}' cannot be read, because it is damaged or incomplete ({error}): "
                "delete it, and download it again from https://github.com/brendenlake/omniglot."
            ) from error


def _is_drawing(name: str) -> bool:
    return name.lower().endswith(".png") and not _is_hidden(name.rpartition("/")[2])


def _is_hidden(name: str) -> bool:
    """Whether a file is hidden or made by an operating system: '.DS_Store', '._0709_01.png', '__MACOSX'."""
    return name.startswith((".", "__"))


@dataclass(frozen=True)
class OmniglotFiles:
    """Both halves, from one folder."""

    background: OmniglotHalf
    evaluation: OmniglotHalf

    @property
    def halves(self) -> tuple[OmniglotHalf, OmniglotHalf]:
        """Background and evaluation."""
        return self.background, self.evaluation

    @property
    def origin(self) -> str:
        """Whether they are zip archives or folders, in words."""
        kinds = {type(half) for half in self.halves}
        if len(kinds) == 2:
            return "a zip archive and a folder"
        return "zip archives" if kinds == {ZipHalf} else "folders"

    def raw_files(self) -> list[tuple[str, Path]]:
        """Return the files of both halves."""
        return [file for half in self.halves for file in half.raw_files()]


def find_files(paths: DataPaths) -> OmniglotFiles | None:
    """Return both halves from the first searched folder that has them; None if there is none.

    Raises DataError if a folder has only one half, or cannot be read.
    """
    for _, folder in searched_folders(paths):
        for layout in LAYOUTS:
            files = _files_in(folder / layout)
            if files:
                return files
    return None


def _files_in(folder: Path) -> OmniglotFiles | None:
    try:
        halves = [_half(folder, name) for name in HALVES]
    except OSError as error:
        raise DataError(f"'{folder}' cannot be searched for Omniglot ({error}): check its permissions.") from error
    match halves:
        case [None, None]:
            return None
        case [OmniglotHalf() as background, OmniglotHalf() as evaluation]:
            return OmniglotFiles(background, evaluation)
        case _:
            present, missing = HALVES if halves[0] else reversed(HALVES)
            raise DataError(
                f"'{folder}' has only one half of Omniglot, {present}: put {missing}.zip beside it "
                "(https://github.com/brendenlake/omniglot, folder python), or name another folder with --data-dir."
            )


def _half(folder: Path, name: str) -> OmniglotHalf | None:
    """Return the archive rather than the folder: two files are read faster than 32,460."""
    if (folder / f"{name}.zip").is_file():
        return ZipHalf(folder / f"{name}.zip")
    return FolderHalf(folder / name) if (folder / name).is_dir() else None
