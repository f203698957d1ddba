"""Images in a user's folder: a support set of labeled images, held-out images, and images to be labeled."""

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

UNLABELED = ("unlabeled", "unlabelled")
"""Names of the folder of images to be labeled; the second is the British spelling."""

HELD_OUT = "test"
"""Name of the folder of held-out images, with one folder per class."""

LAYOUT = "It needs one folder per class with a few images of it, and 'unlabeled' with the images to be labeled."


@dataclass(frozen=True)
class UserImage:
    """One image; ``label`` is the number of its class, None if it is to be labeled."""

    path: Path
    label: int | None = None


@dataclass(frozen=True)
class UserImages:
    """All images of a folder.

    Args:
        folder: the folder.
        classes: names of the classes, sorted.
        support: labeled images that the model adapts to, sorted by class and name.
        held_out: labeled images that it is tested on.
        unlabeled: images to be labeled.
    """

    folder: Path
    classes: tuple[str, ...]
    support: tuple[UserImage, ...]
    held_out: tuple[UserImage, ...]
    unlabeled: tuple[UserImage, ...]


def find_user_images(folder: Path, hold_out: int = 0) -> UserImages:
    """Sort the images of a folder by their use.

    Args:
        folder: it holds one folder per class, 'unlabeled', and 'test' with held-out images of the classes.
        hold_out: number of images per class to hold out if there is no 'test', selected by a hash of their names.

    Raises DataError if classes or images are missing, NothingToDoError if there is nothing to label.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder '{folder}'. {LAYOUT}")
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    names, labeled = _labeled_images(folder, subfolders)
    held_out = [
        image for path in subfolders if path.name.lower() == HELD_OUT for image in _read_test_folder(path, names)
    ]
    if hold_out:
        if held_out:
            raise DataError(f"'{folder}' has held-out images in '{HELD_OUT}': leave out --hold-out, or that folder.")
        held_out = _hold_out(labeled, hold_out, names)
    unlabeled = [
        UserImage(path) for folder in subfolders if folder.name.lower() in UNLABELED for path in _image_paths(folder)
    ]
    if not held_out and not unlabeled:
        raise NothingToDoError(
            f"'{folder}' has nothing to label: put images into '{UNLABELED[0]}', or hold some out with --hold-out."
        )
    tested = {image.path for image in held_out}
    support = (UserImage(path, number) for number, paths in labeled.items() for path in paths if path not in tested)
    return UserImages(folder, names, tuple(support), tuple(held_out), tuple(unlabeled))


def _labeled_images(folder: Path, subfolders: Sequence[Path]) -> tuple[tuple[str, ...], dict[int, list[Path]]]:
    """Names of the classes, and the images of each class by its number."""
    class_folders = [path for path in subfolders if path.name.lower() not in {*UNLABELED, HELD_OUT}]
    names = tuple(path.name for path in class_folders)
    if len(names) < 2:
        raise DataError(f"'{folder}' has {len(names)} class folder(s), and needs at least two. {LAYOUT}")
    labeled = {number: _image_paths(path) for number, path in enumerate(class_folders)}
    if empty := [names[number] for number, paths in labeled.items() if not paths]:
        raise DataError(f"'{folder}': no image in {summarize_names(empty)}. {LAYOUT}")
    return names, labeled


def read_user_images(images: Sequence[UserImage], image_format: ImageFormat) -> Tensor:
    """Decode images in their order: uint8 ``[n, C, H, W]``. Raises DataError that names all damaged images."""
    pixels = np.zeros((len(images), *image_format.shape), np.uint8)
    files = (ImageFile(row, str(image.path), _content(image.path)) for row, image in enumerate(images))
    try:
        for row, decoded in decode_images(files, image_format, len(images), "images", no_progress):
            pixels[row] = decoded
    except DamagedImagesError as error:
        count, names = len(error.damaged), ", ".join(error.damaged)
        raise DataError(f"{count} damaged image(s): {names}. Replace or remove them.") from error
    return torch.from_numpy(pixels)


def _image_paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and is_image(path.name))


def _content(path: Path) -> bytes | Exception:
    try:
        return path.read_bytes()
    except OSError as error:
        return error


def _read_test_folder(folder: Path, names: Sequence[str]) -> list[UserImage]:
    class_folders = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    if unknown := sorted(set(class_folders) - set(names)):
        raise DataError(
            f"'{folder}' has folders that are no class: {summarize_names(unknown)}. Classes: {summarize_names(names)}."
        )
    images = [
        UserImage(path, number)
        for number, name in enumerate(names)
        if name in class_folders
        for path in _image_paths(class_folders[name])
    ]
    if len(images) < len(_image_paths(folder)):
        raise DataError(f"'{folder}' has images outside a class's folder: put each into the folder of its class.")
    return images


def _hold_out(labeled: dict[int, list[Path]], count: int, names: Sequence[str]) -> list[UserImage]:
    """Select ``count`` images of each class by a hash of their names."""
    if too_small := [names[number] for number, paths in labeled.items() if len(paths) <= count]:
        raise DataError(
            f"{count} images of each class cannot be held out: {summarize_names(too_small)} would have none left."
        )
    held_out = []
    for number, paths in labeled.items():
        by_hash = sorted(paths, key=lambda path: hashlib.blake2b(path.name.encode()).digest())
        held_out += [UserImage(path, number) for path in sorted(by_hash[:count])]
    return held_out
