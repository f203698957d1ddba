"""Copies of labeled images in a folder for each class."""

from __future__ import annotations

import shutil
from pathlib import Path

from mamlbench.errors import ConfigError
from mamlbench.record import Adaptation

UNSURE = "_unsure"
"""Folder of the folders of images whose label is unsure."""


def refuse_inside(target: Path, folder: Path, option: str) -> None:
    """Raise ConfigError if something would be written into the user's folder of images."""
    if target.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"'{target}' lies in '{folder}', where nothing is written: choose another folder with {option}."
        )


def sort_images(adaptation: Adaptation, target: Path) -> int:
    """Copy the images that were labeled to ``target/CLASS``, unsure ones to ``target/_unsure/CLASS``; return how many.

    No file is overwritten: an image that is there already is not copied again, and one with the name of another gets a
    number.

    Raises ConfigError if a file cannot be read or written.
    """
    folder = Path(adaptation.folder)
    copied = 0
    for image in adaptation.used_as("unlabeled"):
        parts = ((UNSURE,) if adaptation.is_unsure(image) else ()) + (str(image.label),)
        source = folder / image.file
        try:
            copied += _copy(source, target.joinpath(*parts))
        except OSError as error:
            raise ConfigError(f"'{source}' cannot be copied to '{target}' ({error.strerror}).") from error
    return copied


def _copy(source: Path, folder: Path) -> bool:
    """Copy a file into a folder unless an equal one is there."""
    folder.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()
    number, place = 1, folder / source.name
    while place.exists():
        if place.read_bytes() == content:
            return False
        number += 1
        place = folder / f"{source.stem}-{number}{source.suffix}"
    shutil.copy2(source, place)
    return True
