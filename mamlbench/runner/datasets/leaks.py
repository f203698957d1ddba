"""What the splits of a data set share: classes of the same name, or images with the same pixels."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mamlbench.api import SPLITS, Dataset, ImageSplit
from mamlbench.errors import DataError, summarize_names


def find_leaks(dataset: Dataset) -> list[str]:
    """Name what two splits share, one text for each pair of splits and kind; empty if nothing is shared.

    Images are compared by the hashes of their pixels as the network sees them, before rotations and normalization.
    """
    splits = {name: split for name in SPLITS if isinstance(split := dataset.splits.get(name), ImageSplit)}
    return [*_shared_classes(splits), *_shared_images(splits)]


def refuse_leaks(leaks: list[str], dataset: str) -> None:
    """Raise DataError if there are any."""
    if leaks:
        raise DataError(
            f"The splits of {dataset} share classes or images: {'; '.join(leaks)}. A test on them does not show what "
            "was learned about new classes. Remove them, or use --allow-leak, which marks every table and verdict."
        )


def _shared_classes(splits: Mapping[str, ImageSplit]) -> Iterator[str]:
    names = {
        split: {unicodedata.normalize("NFC", name) for name in splits[split].class_names} for split in splits
    }  # one name has two encodings on some file systems
    for first, second in combinations(splits, 2):
        if shared := sorted(names[first] & names[second]):
            yield f"{first} and {second} share {_count(len(shared), 'class', 'classes')} ({summarize_names(shared, 5)})"


def _shared_images(splits: Mapping[str, ImageSplit]) -> Iterator[str]:
    hashes = {name: np.ascontiguousarray(split.image_hashes) for name, split in splits.items()}
    halves = {name: np.unique(values.view(np.uint64)[:, 0]) for name, values in hashes.items()}  # sorts faster
    for first, second in combinations(splits, 2):
        candidates = np.intersect1d(halves[first], halves[second], assume_unique=True)
        if not len(candidates):
            continue
        classes = [_classes_by_hash(splits[name], hashes[name], candidates) for name in (first, second)]
        shared = sorted(set(classes[0]) & set(classes[1]), key=lambda image: classes[0][image])
        if shared:
            pairs = dict.fromkeys(" = ".join(dict.fromkeys(side[image] for side in classes)) for image in shared)
            count = _count(len(shared), "image", "images")
            yield f"{first} and {second} share {count} (of {summarize_names(pairs, 5)})"


def _classes_by_hash(split: ImageSplit, hashes: NDArray[np.uint8], candidates: NDArray[np.uint64]) -> dict[bytes, str]:
    """Return the class of each image whose hash begins with one of the candidates, by its whole hash."""
    rows = np.flatnonzero(np.isin(hashes.view(np.uint64)[:, 0], candidates))
    classes = np.searchsorted(split.offsets, rows, side="right") - 1
    return {hashes[row].tobytes(): split.class_names[c] for row, c in zip(rows, classes, strict=True)}


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
