"""Images in a tree of folders: one rule for their splits and classes, and the names of all files that it leaves out.

Folders that hold everything else are dropped. A top folder that is then called like a split (``split_of_folder``) is
one; otherwise it is a class, or holds classes. A class is named after all folders between the split and the image.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from mamlbench.data.image_decoding import is_image, needs_package
from mamlbench.errors import DataError, summarize_names

UNSPLIT = "-"
"""Split of an image if no folder says which."""

UNLABELED = "unlabeled"
"""Split of images without a class."""

SPELLINGS = {
    "train": ("train", "training", "trn", "meta-train", "meta-training", "base"),
    "val": (
        "val",
        "valid",
        "validation",
        "dev",
        "development",
        "meta-val",
        "meta-valid",
        "meta-validation",
        "meta-dev",
    ),
    "test": ("test", "testing", "tst", "meta-test", "meta-testing", "novel"),
    UNLABELED: ("unlabeled", "unlabelled"),
}
"""Names of the folders of each split, in upper or lower case, with any other character for the hyphen, or none. The
second of the last line is the British spelling."""

SPLIT_WORDS = {
    *("train", "training", "trainset", "val", "valid", "validation", "valset", "dev", "devel", "development"),
    *("test", "testing", "testset", "eval", "evaluation", "tune", "tuning", "holdout", "heldout", "background"),
    *("novel", "base", "seen", "unseen", "split", "fold", "support", "query"),
}
"""Words in the names of folders that may be splits under another name."""


_CLEAN = re.compile("[^\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]*")


class TreeImage(NamedTuple):
    """An image: the split that a folder says, its class and file name, and its name in the tree."""

    split: str
    class_name: str
    file: str
    name: str


@dataclass(frozen=True)
class ImageTree:
    """A tree of images, as ``read`` sorts it.

    Args:
        images: all images, by split and class.
        left_out: names of the files that are no images, sorted.
        empty: folders without an image in them or below, sorted.
        doubtful: top folders that hold classes and are called like a split, but under no known name.
    """

    UNSPLIT: ClassVar[str] = UNSPLIT
    UNLABELED: ClassVar[str] = UNLABELED

    images: tuple[TreeImage, ...]
    left_out: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()

    @staticmethod
    def is_hidden(name: str) -> bool:
        """Whether a file is hidden, in a hidden folder, or made by macOS: '.git/x', '._x.jpg', '__MACOSX/x'."""
        return is_hidden(name)

    @staticmethod
    def walk(folder: Path) -> tuple[list[str], list[str]]:
        """Return the names of all files and of all folders below, unordered, without hidden ones; links are followed.

        Raises OSError if a folder cannot be read, DataError if a link leads to a folder that holds it.
        """
        names: list[str] = []
        folders: list[str] = []
        for name, is_folder in _walk(str(folder), "", ()):
            (folders if is_folder else names).append(name)
        return names, folders

    @classmethod
    def read(
        cls, names: Iterable[str], where: str, layout: str, folders: Iterable[str] = (), ignored: Collection[str] = ()
    ) -> ImageTree:
        """Sort the files of a tree by split and class.

        Args:
            names: of all files, with '/' between the parts; hidden ones are ignored.
            where: the tree's name for messages, in quotes if it is a path.
            layout: the layout that is needed, one sentence for messages.
            folders: names of all folders, so that those without an image can be named.
            ignored: names of files that are neither read nor left out.

        Raises DataError if there is no image, an image is outside a class's folder, two folders are the same split, or
        a name is not UTF-8 or has control characters.
        """
        _refuse_unprintable(names := list(names), where)
        visible = [name for name in names if not is_hidden(name) and name not in ignored]
        paths = {name: name.split("/") for name in visible if is_image(name)}
        if not paths:
            raise DataError(" ".join([f"{where} holds no image.", *_unreadable(visible), layout]))
        paths = _without_shared_folders(paths)
        _refuse_two_folders_of_a_split(paths.values(), where)
        images = [_tree_image(name, parts) for name, parts in paths.items()]
        outside = sorted(image.name for image in images if not image.class_name and image.split != cls.UNLABELED)
        if outside:
            raise DataError(f"{where} has images outside a class's folder: {summarize_names(outside)}. {layout}")
        return cls(
            tuple(sorted(images)),
            tuple(sorted(set(visible) - set(paths))),
            tuple(_empty_folders(folders, paths)),
            tuple(_doubtful_folders(paths.values())),
        )

    @property
    def splits(self) -> set[str]:
        """The splits that have images."""
        return {image.split for image in self.images}

    def notes(self) -> list[str]:
        """Say in one sentence each what is left out: files that are no images, and folders without any."""
        notes = []
        others = [name for name in self.left_out if not needs_package(name)]
        if others:
            suffixes = Counter(map(_suffix, others))
            kinds = summarize_names([f"{count:,} {suffix}" for suffix, count in suffixes.most_common()])
            notes.append(f"{_count(others, 'file')} no image and left out: {kinds} ({summarize_names(others, 5)})")
        notes += [text.removesuffix(".") for text in _unreadable(self.left_out)]
        if self.empty:
            notes.append(f"{_count(self.empty, 'folder')} without an image: {summarize_names(self.empty)}")
        return notes


def split_of_folder(name: str) -> str | None:
    """Return the split that a folder, or a row of a table, names: 'train', 'val', 'test', 'unlabeled', or None."""
    return _SPLIT_OF_PLAIN_NAME.get(_plain(name))


def is_hidden(name: str) -> bool:
    """Whether a file is hidden, in a hidden folder, or made by macOS: '.git/x', '._x.jpg', '__MACOSX/x'."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _walk(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, bool]]:
    """Yield each name below a folder, and whether it is a folder's; ``above`` identifies the folders that hold it."""
    state = os.stat(folder)  # noqa: PTH116 (one system call for each of many folders)
    if (state.st_dev, state.st_ino) in above:
        raise DataError(f"'{folder}' is a link to a folder that holds it: remove it.")
    above = (*above, (state.st_dev, state.st_ino))
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_hidden(entry.name):
                yield f"{prefix}{entry.name}", entry.is_dir()
                if entry.is_dir():
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", above)


def _refuse_unprintable(names: Sequence[str], where: str) -> None:
    """Raise DataError if a name has bytes of another encoding or control characters, as archives refuse them."""
    wrong = [name for name in names if not _CLEAN.fullmatch(name)]
    if wrong:
        shown = summarize_names(sorted(ascii(name)[1:-1] for name in wrong))
        raise DataError(f"{where} has names that are not UTF-8 or have control characters: {shown}. Rename them.")


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


_SPLIT_OF_PLAIN_NAME = {_plain(name): split for split, names in SPELLINGS.items() for name in names}


def _tree_image(name: str, parts: Sequence[str]) -> TreeImage:
    """Describe an image; its class is empty if it is outside a class's folder."""
    split = split_of_folder(parts[0]) if len(parts) > 1 else None
    if split == UNLABELED:
        return TreeImage(split, "", parts[-1], name)
    classes = parts[:-1] if split is None else parts[1:-1]
    return TreeImage(split or UNSPLIT, "/".join(classes), parts[-1], name)


def _without_shared_folders(paths: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Drop top folders that all images share, unless they are splits or classes."""
    while True:
        top_folders = {parts[0] for parts in paths.values()}
        if len(top_folders) > 1 or min(map(len, paths.values())) < 3 or split_of_folder(next(iter(top_folders))):
            return dict(paths)
        paths = {name: parts[1:] for name, parts in paths.items()}


def _refuse_two_folders_of_a_split(paths: Iterable[Sequence[str]], where: str) -> None:
    folders: dict[str, str] = {}
    for top in sorted({parts[0] for parts in paths if len(parts) > 1}):
        split = split_of_folder(top)
        if split and folders.setdefault(split, top) != top:
            raise DataError(
                f"{where} has two folders of the split {split}, '{folders[split]}' and '{top}': join or rename them."
            )


def _doubtful_folders(paths: Iterable[Sequence[str]]) -> list[str]:
    """Return top folders with classes below whose names have a word of splits, but are no known name of one."""
    tops = {parts[0]: parts for parts in sorted(paths, key=len) if len(parts) > 2}
    return sorted(
        top for top in tops if split_of_folder(top) is None and SPLIT_WORDS & set(re.findall("[a-z]+", top.lower()))
    )


def _empty_folders(folders: Iterable[str], images: Iterable[str]) -> list[str]:
    """Return the topmost folders without an image in them or below."""
    full = {"/".join(parts[:end]) for parts in (name.split("/") for name in images) for end in range(1, len(parts))}
    empty = {folder for folder in folders if folder not in full and not is_hidden(folder)}
    return sorted(folder for folder in empty if folder.rpartition("/")[0] not in empty)


def _unreadable(names: Iterable[str]) -> list[str]:
    """Say how photographs that cannot be read here can be: a sentence for each package that is missing."""
    commands: dict[str, list[str]] = {}
    for name in sorted(names):
        if command := needs_package(name):
            commands.setdefault(command, []).append(name)
    return [
        f"{_count(files, 'photograph')} left out and can be read after {command}: {summarize_names(files, 5)}."
        for command, files in commands.items()
    ]


def _suffix(name: str) -> str:
    base, _, suffix = name.rpartition("/")[2].rpartition(".")
    return f".{suffix.lower()}" if base else "without a suffix"


def _count(names: Sequence[str], what: str) -> str:
    return f"1 {what} is" if len(names) == 1 else f"{len(names):,} {what}s are"
