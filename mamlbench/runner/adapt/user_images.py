"""A folder of a user's own images: a few labeled ones for each class, some held out, others to be labeled."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mamlbench.api import ImageFile, ImageFormat, decode_images, is_image, no_progress
from mamlbench.errors import DamagedImagesError, DataError, NothingToDoError, summarize_names

UNLABELLED = ("unlabeled", "unlabeled")
"""Names of the folder of images to be labeled."""

HELD_OUT = "test"
"""Name of the folder of labeled images that nothing is learned from, with a folder for each class."""

LAYOUT = "Needed is a folder for each class with a few images of it, and 'unlabeled' with those to be labeled."


@dataclass(frozen=True)
class Own:
    """One image; ``label`` is the number of its class, None where that is what is asked."""

    path: Path
    label: int | None = None


@dataclass(frozen=True)
class UserImages:
    """Everything in a folder. ``given`` is learned from; classes and images are in the order of their names."""

    folder: Path
    classes: tuple[str, ...]
    given: tuple[Own, ...]
    held_out: tuple[Own, ...]
    unlabeled: tuple[Own, ...]


def find_user_images(folder: Path, hold_out: int = 0) -> UserImages:
    """Sort the images of a folder by what they are for.

    Args:
        folder: one folder for each class, 'unlabeled', and 'test' with held-out images of the classes.
        hold_out: how many images of each class are held out instead, chosen by a hash of their names.

    Raises DataError where classes or images are missing, NothingToDoError where nothing is to be labeled.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder '{folder}'. {LAYOUT}")
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    classes = [path for path in below if path.name.lower() not in {*UNLABELLED, HELD_OUT}]
    names = tuple(path.name for path in classes)
    if len(classes) < 2:
        raise DataError(f"'{folder}' has {len(classes)} class folder(s), and two are the least. {LAYOUT}")
    labeled = {number: _images(path) for number, path in enumerate(classes)}
    if empty := [names[number] for number, found in labeled.items() if not found]:
        raise DataError(f"'{folder}': no image in {summarize_names(empty)}. {LAYOUT}")
    held = [own for path in below if path.name.lower() == HELD_OUT for own in _test_folder(path, names)]
    if hold_out:
        if held:
            raise DataError(f"'{folder}' has held-out images in '{HELD_OUT}': leave out --hold-out, or that folder.")
        held = _held_out(labeled, hold_out, names)
    chosen = {own.path for own in held}
    unlabeled = [image for path in below if path.name.lower() in UNLABELLED for image in _images(path)]
    if not held and not unlabeled:
        raise NothingToDoError(
            f"'{folder}' has nothing to label: put images into '{UNLABELLED[0]}', or hold some out with --hold-out."
        )
    given = (Own(path, number) for number, paths in labeled.items() for path in paths if path not in chosen)
    return UserImages(folder, names, tuple(given), tuple(held), tuple(Own(path) for path in unlabeled))


def read_user_images(images: Sequence[Own], wanted: ImageFormat) -> Tensor:
    """Decode images, in their order: uint8 ``[n, C, side, side]``. Raises DataError that names all damaged ones."""
    found = np.zeros((len(images), *wanted.shape), np.uint8)
    files = (ImageFile(row, str(own.path), _content(own.path)) for row, own in enumerate(images))
    try:
        for row, pixels in decode_images(files, wanted, len(images), "images", no_progress):
            found[row] = pixels
    except DamagedImagesError as error:
        count, named = len(error.damaged), ", ".join(error.damaged)
        raise DataError(f"{count} damaged image(s): {named}. Replace or remove them.") from error
    return torch.from_numpy(found)


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and is_image(path.name))


def _content(path: Path) -> bytes | Exception:
    try:
        return path.read_bytes()
    except OSError as error:
        return error


def _test_folder(folder: Path, names: Sequence[str]) -> list[Own]:
    below = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    if unknown := sorted(set(below) - set(names)):
        raise DataError(
            f"'{folder}' has folders that are no class: {summarize_names(unknown)}. Classes: {summarize_names(names)}."
        )
    found = [Own(path, number) for number, name in enumerate(names) if name in below for path in _images(below[name])]
    if len(found) < len(_images(folder)):
        raise DataError(f"'{folder}' has images outside a class's folder: put each into that of its class.")
    return found


def _held_out(labeled: dict[int, list[Path]], count: int, names: Sequence[str]) -> list[Own]:
    if short := [names[number] for number, paths in labeled.items() if len(paths) <= count]:
        raise DataError(
            f"{count} images of each class cannot be held out: {summarize_names(short)} would have none left."
        )
    held = []
    for number, paths in labeled.items():
        by_hash = sorted(paths, key=lambda path: hashlib.blake2b(path.name.encode()).digest())
        held += [Own(path, number) for path in sorted(by_hash[:count])]
    return held
