"""A small Omniglot as folders or archives, drawn by file name, and how to load it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from mamlbench.api import DataPaths, ImageSplit, hash64, seed_key
from mamlbench_plugins.datasets.omniglot import Omniglot
from mamlbench_plugins.datasets.omniglot_files import HALVES

ALPHABETS = (("Angelic", "Braille", "Cyrillic"), ("Tengwar", "ULOG"))
"""Of the background and the evaluation half of the toy set; each has three characters with two drawings."""

TOY = {
    f"{half}/{alphabet}/character{character:02}/{number:04}_{drawer:02}.png"
    for half, alphabets in zip(HALVES, ALPHABETS, strict=True)
    for number, (alphabet, character) in enumerate((a, c) for a in alphabets for c in (1, 2, 3))
    for drawer in (1, 2)
}


def drawing(name: str, size: tuple[int, int] = (105, 105)) -> bytes:
    """A PNG file: black noise on the left, drawn by file name, on white paper."""
    ink = hash64(seed_key(name), np.arange(size[0] * size[1])).reshape(size[::-1]) % np.uint64(3) == 0
    ink[:, 60:] = False
    file = io.BytesIO()
    Image.fromarray(~ink).save(file, "PNG")
    return file.getvalue()


def write_folders(folder: Path, names: Iterable[str] = TOY) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(drawing(name))
    return folder


def write_archives(folder: Path, names: Iterable[str] = sorted(TOY), halves: Iterable[str] = HALVES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for half in halves:
        with zipfile.ZipFile(folder / f"{half}.zip", "w") as archive:
            for name in names:
                if name.startswith(half):
                    archive.writestr(name, drawing(name))
    return folder


def load(folder: Path | None, cache: Path, *, allow_download: bool = False, **options: object) -> Omniglot:
    folders = () if folder is None else (("--data-dir", folder),)
    return Omniglot(Omniglot.Options.model_validate(options), DataPaths(folders, cache, allow_download))


def image_split(dataset: Omniglot, name: str) -> ImageSplit:
    split = dataset.splits[name]
    assert isinstance(split, ImageSplit)
    return split


def names_of(dataset: Omniglot) -> dict[str, set[str]]:
    return {split: set(image_split(dataset, split).class_names) for split in dataset.splits}
