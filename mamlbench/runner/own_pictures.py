"""A folder of a user's own pictures: a few labelled ones for each class, some held out, others to be labelled."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import PictureFile, PictureFormat, decoded, ignore, is_picture
from mamlbench.errors import DamagedError, DataError, NothingToDoError, some

UNLABELLED = ("unlabelled", "unlabeled")
"""Names of the folder of pictures to be labelled."""

HELD_OUT = "test"
"""Name of the folder of labelled pictures that nothing is learned from, with a folder for each class."""

LAYOUT = "Needed is a folder for each class with a few pictures of it, and 'unlabelled' with those to be labelled."


@dataclass(frozen=True)
class Own:
    """One picture; ``label`` is the number of its class, None where that is what is asked."""

    path: Path
    label: int | None = None


@dataclass(frozen=True)
class OwnPictures:
    """Everything in a folder. ``given`` is learned from; classes and pictures are in the order of their names."""

    folder: Path
    classes: tuple[str, ...]
    given: tuple[Own, ...]
    held_out: tuple[Own, ...]
    unlabelled: tuple[Own, ...]


def find_own_pictures(folder: Path, hold_out: int = 0) -> OwnPictures:
    """Sort the pictures of a folder by what they are for.

    Args:
        folder: one folder for each class, 'unlabelled', and 'test' with held-out pictures of the classes.
        hold_out: how many pictures of each class are held out instead, chosen by a hash of their names.

    Raises DataError where classes or pictures are missing, NothingToDoError where nothing is to be labelled.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder '{folder}'. {LAYOUT}")
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    classes = [path for path in below if path.name.lower() not in {*UNLABELLED, HELD_OUT}]
    names = tuple(path.name for path in classes)
    if len(classes) < 2:
        raise DataError(f"'{folder}' has {len(classes)} class folder(s), and two are the least. {LAYOUT}")
    labelled = {number: _pictures(path) for number, path in enumerate(classes)}
    if empty := [names[number] for number, found in labelled.items() if not found]:
        raise DataError(f"'{folder}': no picture in {some(empty)}. {LAYOUT}")
    held = [own for path in below if path.name.lower() == HELD_OUT for own in _test_folder(path, names)]
    if hold_out:
        if held:
            raise DataError(f"'{folder}' has held-out pictures in '{HELD_OUT}': leave out --hold-out, or that folder.")
        held = _held_out(labelled, hold_out, names)
    chosen = {own.path for own in held}
    unlabelled = [picture for path in below if path.name.lower() in UNLABELLED for picture in _pictures(path)]
    if not held and not unlabelled:
        raise NothingToDoError(
            f"'{folder}' has nothing to label: put pictures into '{UNLABELLED[0]}', or hold some out with --hold-out."
        )
    given = (Own(path, number) for number, paths in labelled.items() for path in paths if path not in chosen)
    return OwnPictures(folder, names, tuple(given), tuple(held), tuple(Own(path) for path in unlabelled))


def read_own_pictures(pictures: Sequence[Own], wanted: PictureFormat) -> Tensor:
    """Decode pictures, in their order: uint8 ``[n, C, side, side]``. Raises DataError that names all damaged ones."""
    found = np.zeros((len(pictures), *wanted.shape), np.uint8)
    files = (PictureFile(row, str(own.path), _content(own.path)) for row, own in enumerate(pictures))
    try:
        for row, pixels in decoded(files, wanted, len(pictures), "pictures", ignore):
            found[row] = pixels
    except DamagedError as error:
        count, named = len(error.damaged), ", ".join(error.damaged)
        raise DataError(f"{count} damaged picture(s): {named}. Replace or remove them.") from error
    return torch.from_numpy(found)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and is_picture(path.name))


def _content(path: Path) -> bytes | Exception:
    try:
        return path.read_bytes()
    except OSError as error:
        return error


def _test_folder(folder: Path, names: Sequence[str]) -> list[Own]:
    below = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    if unknown := sorted(set(below) - set(names)):
        raise DataError(f"'{folder}' has folders that are no class: {some(unknown)}. Classes: {some(names)}.")
    found = [Own(path, number) for number, name in enumerate(names) if name in below for path in _pictures(below[name])]
    if len(found) < len(_pictures(folder)):
        raise DataError(f"'{folder}' has pictures outside a class's folder: put each into that of its class.")
    return found


def _held_out(labelled: dict[int, list[Path]], count: int, names: Sequence[str]) -> list[Own]:
    if short := [names[number] for number, paths in labelled.items() if len(paths) <= count]:
        raise DataError(f"{count} pictures of each class cannot be held out: {some(short)} would have none left.")
    held = []
    for number, paths in labelled.items():
        by_hash = sorted(paths, key=lambda path: hashlib.blake2b(path.name.encode()).digest())
        held += [Own(path, number) for path in sorted(by_hash[:count])]
    return held
