"""Image files with their classes and splits, wherever they lie: what most data sets of photographs are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

from mamlbench.api import SPLITS, CachedImages, ImageFile, ImageFormat, ImageStream, ProgressCallback, decode_images
from mamlbench_plugins.datasets.archives import Store

ORIGIN, SPLIT_OF_CLASS = "origin", "split of each class"
"""Keys of ``CachedImages.metadata``."""

UNSPLIT = "-"
"""Stands for the split of a class where files do not say which it is."""


class Member(NamedTuple):
    """One image: where it belongs, and where it lies."""

    split: str
    class_name: str
    file: str
    store: Store
    name: str


@dataclass(frozen=True)
class Listing:
    """Image files, in the order of ``in_order``, and what they are made into."""

    origin: str
    members: tuple[Member, ...]
    wanted: ImageFormat
    title: str

    def stream(self, progress: ProgressCallback) -> ImageStream:
        """Decode everything: classes in the order train, val, test, then by name."""
        groups = [(key, len(list(each))) for key, each in groupby(self.members, lambda m: (m.split, m.class_name))]
        return ImageStream(
            self.wanted.shape,
            np.cumsum([0, *(size for _, size in groups)], dtype=np.int64),
            tuple(name for (_, name), _ in groups),
            {ORIGIN: self.origin, SPLIT_OF_CLASS: " ".join(split for (split, _), _ in groups)},
            decode_images(self._files(), self.wanted, len(self.members), self.title, progress),
        )

    def _files(self) -> Iterator[ImageFile]:
        by_store: dict[Store, dict[str, int]] = {}
        for row, member in enumerate(self.members):
            by_store.setdefault(member.store, {})[member.name] = row
        for store, rows in by_store.items():
            for name, content in store.read(rows):
                yield ImageFile(rows.pop(name), f"{store.path}/{name}", content)
            for name, row in rows.items():  # it was listed, and is gone
                yield ImageFile(row, f"{store.path}/{name}", FileNotFoundError("it has gone"))


def in_order(members: Iterable[Member]) -> tuple[Member, ...]:
    """Sorted by split, class and file name, whatever the file system's order; the same file twice is taken once."""
    places = {split: number for number, split in enumerate((*SPLITS, UNSPLIT))}
    unique = {(places[m.split], m.class_name, m.file): m for m in reversed(list(members))}
    return tuple(unique[key] for key in sorted(unique))


def classes_by_split(found: CachedImages | ImageStream) -> dict[str, list[int]]:
    """Numbers of the classes of each split, as the files have it."""
    splits = found.metadata[SPLIT_OF_CLASS].split(" ")
    return {split: [c for c, each in enumerate(splits) if each == split] for split in SPLITS}


def amount(found: CachedImages | ImageStream) -> str:
    """How much it is, in words."""
    return f"{found.offsets[-1]:,} images of {len(found.class_names):,} classes"
