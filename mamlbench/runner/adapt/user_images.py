"""Images in a user's folder: a support set of labeled images, held-out images, and images to be labeled."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlbench.api import ImageFile, ImageFormat, ImageTree, decode_images, no_progress
from mamlbench.data.image_tree import UNLABELED, UNSPLIT
from mamlbench.errors import DamagedImagesError, DataError, NothingToDoError, summarize_names

WRITTEN = ("predictions.csv", "contact-sheet.png")
"""Files that ``mamlbench adapt`` writes, and that lie in the folder if it was given no other by an earlier release."""

LABELED = (UNSPLIT, "train")
"""Splits of the tree whose images the model adapts to."""

LAYOUT = "It needs one folder per class with a few images of it, and 'unlabeled' with the images to be labeled."


@dataclass(frozen=True)
class UserImage:
    """One image; ``label`` is the number of its class, None if it is to be labeled.

    ``corrected``: a correction says its class, and not its folder.
    """

    path: Path
    label: int | None = None
    corrected: bool = False


class DecodedImages(NamedTuple):
    """The images that could be decoded.

    Args:
        rows: their numbers among those that were to be.
        pixels: uint8 ``[n, C, H, W]``.
        damaged: names of the others, with the reasons.
    """

    rows: tuple[int, ...]
    pixels: Tensor
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class UserImages:
    """All images of a folder.

    Args:
        folder: the folder.
        classes: names of the classes, sorted.
        support: labeled images that the model adapts to, sorted by class and name.
        held_out: labeled images that it is tested on.
        unlabeled: images to be labeled.
        notes: what was left out, a sentence each.
    """

    folder: Path
    classes: tuple[str, ...]
    support: tuple[UserImage, ...]
    held_out: tuple[UserImage, ...]
    unlabeled: tuple[UserImage, ...]
    notes: tuple[str, ...] = ()


def find_user_images(folder: Path, hold_out: int = 0) -> UserImages:
    """Sort the images of a folder by their use, with the classes that ``ImageTree`` reads.

    Args:
        folder: it holds one folder per class (or all of them in 'train'), 'unlabeled', and 'test' with held-out images
            of the classes; these three may have other usual names.
        hold_out: number of images per class to hold out if there is no 'test', selected by a hash of their names.

    Raises DataError if classes or images are missing, NothingToDoError if there is nothing to label.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder '{folder}'. {LAYOUT}")
    tree = _read_tree(folder)
    names = tuple(sorted({image.class_name for image in tree.images if image.split in LABELED}))
    labeled = _labeled_images(folder, tree, names)
    held_out = _held_out_images(folder, tree, names)
    if hold_out:
        if held_out:
            raise DataError(f"'{folder}' has held-out images in 'test': leave out --hold-out, or that folder.")
        held_out = _hold_out(labeled, hold_out, names)
    unlabeled = [UserImage(folder / image.name) for image in tree.images if image.split == UNLABELED]
    if not held_out and not unlabeled:
        raise NothingToDoError(
            f"'{folder}' has nothing to label: put images into '{UNLABELED}', or hold some out with --hold-out."
        )
    tested = {image.path for image in held_out}
    support = [UserImage(path, number) for number, paths in labeled.items() for path in paths if path not in tested]
    notes = [*tree.notes(), *_copies(support, held_out)]
    return UserImages(folder, names, tuple(support), tuple(held_out), tuple(unlabeled), tuple(notes))


def _copies(support: Sequence[UserImage], held_out: Sequence[UserImage]) -> list[str]:
    """Count held-out images whose files equal one that the model adapts to: they do not show what was learned."""
    learned = {content for image in support if isinstance(content := _content(image.path), bytes)}
    copies = [image.path.name for image in held_out if _content(image.path) in learned]
    if not copies:
        return []
    plural = "s are copies of images" if len(copies) > 1 else " is a copy of one"
    return [f"{len(copies):,} held-out image{plural} that the model adapts to: {summarize_names(copies, 5)}"]


def _read_tree(folder: Path) -> ImageTree:
    """Read the tree. Raises DataError if it has a split that has no use here, or a folder without an image."""
    try:
        names, folders = ImageTree.walk(folder)
    except OSError as error:
        raise DataError(f"'{folder}' cannot be read ({error}): check its permissions and links.") from error
    tree = ImageTree.read(names, f"'{folder}'", LAYOUT, folders, WRITTEN)
    if tree.empty:
        raise DataError(f"'{folder}': no image in {summarize_names(tree.empty)}. {LAYOUT}")
    if tree.doubtful:
        raise DataError(
            f"'{folder}' has folders that may be splits under another name: {summarize_names(tree.doubtful)}. {LAYOUT}"
        )
    if "val" in tree.splits:
        raise DataError(f"'{folder}' has a folder of the split val, which has no use here: call it 'test'. {LAYOUT}")
    if set(LABELED) <= tree.splits:
        raise DataError(f"'{folder}' has class folders inside 'train' and beside it: leave out one of both. {LAYOUT}")
    return tree


def _labeled_images(folder: Path, tree: ImageTree, names: Sequence[str]) -> dict[int, list[Path]]:
    """The images of each class by its number."""
    if len(names) < 2:
        raise DataError(f"'{folder}' has {len(names)} class folder(s), and needs at least two. {LAYOUT}")
    labeled: dict[int, list[Path]] = {number: [] for number in range(len(names))}
    for image in tree.images:
        if image.split in LABELED:
            labeled[names.index(image.class_name)].append(folder / image.name)
    return labeled


def _held_out_images(folder: Path, tree: ImageTree, names: Sequence[str]) -> list[UserImage]:
    held_out = [image for image in tree.images if image.split == "test"]
    if unknown := sorted({image.class_name for image in held_out} - set(names)):
        raise DataError(
            f"'{folder}' has held-out images in folders that are no class: {summarize_names(unknown)}. "
            f"Classes: {summarize_names(names)}."
        )
    return [UserImage(folder / image.name, names.index(image.class_name)) for image in held_out]


def decode_user_images(images: Sequence[UserImage], image_format: ImageFormat) -> DecodedImages:
    """Decode images in their order, without those that are damaged."""
    pixels: dict[int, NDArray[np.uint8]] = {}
    damaged: tuple[str, ...] = ()
    files = (ImageFile(row, str(image.path), _content(image.path)) for row, image in enumerate(images))
    try:
        for row, decoded in decode_images(files, image_format, len(images), "images", no_progress):
            pixels[row] = decoded
    except DamagedImagesError as error:
        damaged = error.damaged
    rows = tuple(sorted(pixels))
    stacked = np.stack([pixels[row] for row in rows]) if rows else np.zeros((0, *image_format.shape), np.uint8)
    return DecodedImages(rows, torch.from_numpy(stacked), damaged)


def _content(path: Path) -> bytes | Exception:
    try:
        return path.read_bytes()
    except OSError as error:
        return error


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
