"""Small folders of images for the data set ``folder``, and how to load them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mamlbench.api import SPLITS, DataPaths, ImageSplit, hash64, seed_key
from mamlbench_plugins.datasets.folder import Folder

CLASSES = {"train": ("cat", "dog", "owl"), "val": ("bee", "fly"), "test": ("elm", "oak")}
ALL = tuple(sorted(name for names in CLASSES.values() for name in names))


def image(name: str, size: tuple[int, int] = (20, 16)) -> Image.Image:
    return Image.fromarray(hash64(seed_key(name), np.arange(size[0] * size[1] * 3)).astype(np.uint8).reshape(*size, 3))


def write(folder: Path, name: str, count: int = 3) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image(f"{name}{number}").save(folder / f"{number}.png")


def write_splits(folder: Path, **spelled: str) -> Path:
    for split, names in CLASSES.items():
        for name in names:
            write(folder / spelled.get(split, split) / name, name)
    return folder


def write_classes(folder: Path) -> Path:
    for name in ALL:
        write(folder / name, name)
    return folder


def write_table(folder: Path, name: str = "split.csv") -> Path:
    rows = [f"{name},{split}" for split, names in CLASSES.items() for name in names]
    (folder / name).write_text("\n".join(["class,split", *rows]) + "\n")
    return folder


def load(folder: Path, **options: object) -> Folder:
    return Folder(Folder.Options.model_validate({"image_size": 16, **options}), paths(folder))


def paths(folder: Path) -> DataPaths:
    return DataPaths((("--data-dir", folder),), folder.parent / "cache", False)


def image_split(dataset: Folder, name: str) -> ImageSplit:
    split = dataset.splits[name]
    assert isinstance(split, ImageSplit)
    return split


def names(dataset: Folder) -> dict[str, tuple[str, ...]]:
    return {split: image_split(dataset, split).class_names for split in SPLITS}
