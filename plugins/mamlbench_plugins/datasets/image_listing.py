"""Lists of image files with their classes and splits, from folders or archives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mamlbench.api import (
    SPLITS,
    CachedImages,
    ImageFile,
    ImageFormat,
    ImageStream,
    ImageTree,
    ProgressCallback,
    decode_images,
)
from mamlbench_plugins.datasets.archives import Store

ORIGIN, SPLIT_OF_CLASS = "origin", "split of each class"
"""Keys of ``CachedImages.metadata``."""

UNSPLIT = ImageTree.UNSPLIT
"""Name of the split if the files do not define one."""


class ListedImage(NamedTuple):
    """One image file: its split and class, and its name in a store."""

    split: str
    class_name: str
    file: str
    store: Store
    name: str


@dataclass(frozen=True)
class ImageListing:
    """Image files in the order of ``in_order``, and the format that they are converted to."""

    origin: str
    images: tuple[ListedImage, ...]
    image_format: ImageFormat
    title: str

    def stream(self, progress: ProgressCallback) -> ImageStream:
        """Decode all images; classes come in the order train, val, test, then by name."""
        by_class = groupby(self.images, lambda image: (image.split, image.class_name))
        sizes = {split_and_class: len(list(images)) for split_and_class, images in by_class}
        return ImageStream(
            self.image_format.shape,
            np.cumsum([0, *sizes.values()], dtype=np.int64),
            tuple(class_name for _, class_name in sizes),
            {ORIGIN: self.origin, SPLIT_OF_CLASS: " ".join(split for split, _ in sizes)},
            decode_images(self._files(), self.image_format, len(self.images), self.title, progress),
        )

    def raw_files(self) -> list[tuple[str, Path]]:
        """Return the files that hold the images, each with a name that does not depend on where it is."""
        return [file for store, rows in self._by_store().items() for file in store.raw_files(rows)]

    def _by_store(self) -> dict[Store, dict[str, int]]:
        """Return the row of each image by its name in its store."""
        by_store: dict[Store, dict[str, int]] = {}
        for row, image in enumerate(self.images):
            by_store.setdefault(image.store, {})[image.name] = row
        return by_store

    def _files(self) -> Iterator[ImageFile]:
        for store, rows in self._by_store().items():
            for name, content in store.read(rows):
                yield ImageFile(rows.pop(name), f"{store.path}/{name}", content)
            for name, row in rows.items():  # listed before, and removed since
                yield ImageFile(row, f"{store.path}/{name}", FileNotFoundError("the file was removed"))


def in_order(images: Iterable[ListedImage]) -> tuple[ListedImage, ...]:
    """Sort by split, class and file name, and drop duplicates; the first of equal file names counts."""
    ranks = {split: rank for rank, split in enumerate((*SPLITS, UNSPLIT))}
    unique = {(ranks[image.split], image.class_name, image.file): image for image in reversed(list(images))}
    return tuple(unique[key] for key in sorted(unique))


def classes_by_split(images: CachedImages | ImageStream) -> dict[str, list[int]]:
    """Return the indices of the classes of each split, as the files define it."""
    split_of_class = images.metadata[SPLIT_OF_CLASS].split(" ")
    return {name: [c for c, split in enumerate(split_of_class) if split == name] for name in SPLITS}


def describe_amount(images: CachedImages | ImageStream) -> str:
    """Return the number of images and classes, in words."""
    return f"{images.offsets[-1]:,} images of {len(images.class_names):,} classes"
