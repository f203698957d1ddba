"""miniImageNet as three pickles, ``mini-imagenet-cache-{train,val,test}.pkl``, with pixels and the rows of classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mamlbench.api import SPLITS, DataError, ImageStream, ProgressCallback
from mamlbench_plugins.datasets.image_listing import ORIGIN, SPLIT_OF_CLASS
from mamlbench_plugins.datasets.miniimagenet_files import CLASS_NAMES, FORMAT
from mamlbench_plugins.datasets.safe_unpickle import read_plain_pickle


class PickledClass(NamedTuple):
    """One class: pixels uint8 ``[images of the split, H, W, 3]``, and the rows of this class, int64 ``[n]``."""

    split: str
    name: str
    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class PickledImages:
    """All classes in the order train, val, test, then by name."""

    classes: tuple[PickledClass, ...]
    origin: str = "pickles"

    def stream(self, progress: ProgressCallback) -> ImageStream:
        """Yield the images, resized unless they are 84 x 84."""
        return ImageStream(
            FORMAT.shape,
            np.cumsum([0, *(len(pickled.rows) for pickled in self.classes)], dtype=np.int64),
            tuple(pickled.name for pickled in self.classes),
            {ORIGIN: self.origin, SPLIT_OF_CLASS: " ".join(pickled.split for pickled in self.classes)},
            enumerate(self._images(progress)),
        )

    def _images(self, progress: ProgressCallback) -> Iterator[NDArray[np.uint8]]:
        for number, pickled in enumerate(self.classes, 1):
            for row in pickled.rows:
                yield FORMAT.convert(Image.fromarray(pickled.pixels[row]))
            progress("miniImageNet, classes", number, len(self.classes))


def read_pickles(paths: Sequence[Path]) -> PickledImages | None:
    """Read one pickle per split; None if a split has none or several, or if no class is one of miniImageNet.

    Raises DataError if a pickle is damaged, holds something else or needs more than plain data.
    """
    if not has_pickles(paths):
        return None
    classes = [pickled for split in SPLITS for pickled in _classes(split, _of_split(paths, split)[0])]
    if not any(pickled.name in CLASS_NAMES for pickled in classes):
        return None
    return PickledImages(tuple(classes))


def has_pickles(paths: Sequence[Path]) -> bool:
    """Whether there is exactly one pickle per split."""
    return all(len(_of_split(paths, split)) == 1 for split in SPLITS)


def _of_split(paths: Sequence[Path], split: str) -> list[Path]:
    return [path for path in paths if split in path.stem]


def _classes(split: str, path: Path) -> list[PickledClass]:
    content = read_plain_pickle(path)
    if not isinstance(content, dict):
        raise _unexpected_content(path)
    by_name = {_text(key): value for key, value in content.items()}
    pixels, rows_of_class = by_name.get("image_data"), by_name.get("class_dict")
    if not isinstance(pixels, np.ndarray) or not isinstance(rows_of_class, dict):
        raise _unexpected_content(path)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3 or not pixels.size:
        raise _unexpected_content(path)
    classes = [
        PickledClass(split, name, pixels, _rows(rows, len(pixels), name, path))
        for name, rows in sorted((_text(key), rows) for key, rows in rows_of_class.items())
    ]
    _refuse_images_used_twice(classes, path)
    return classes


def _rows(rows: Any, images: int, name: str, path: Path) -> NDArray[np.int64]:
    """Rows of a class, int64 ``[n]``, in ascending order. Raises DataError unless all are rows of images."""
    numbers = rows.tolist() if isinstance(rows, np.ndarray) and rows.ndim == 1 else rows
    if not isinstance(numbers, list | tuple) or not numbers or not all(_is_row(row, images) for row in numbers):
        raise DataError(f"'{path}': class {name} names images that do not exist.")
    return np.sort(np.array(numbers, np.int64))


def _is_row(row: Any, images: int) -> bool:
    return isinstance(row, int | np.integer) and 0 <= int(row) < images


def _refuse_images_used_twice(classes: Sequence[PickledClass], path: Path) -> None:
    """Raise DataError if classes share a name or an image, or one has an image twice."""
    names = [pickled.name for pickled in classes]
    if len(set(names)) < len(names):
        raise DataError(f"'{path}' has two classes of one name.")
    rows = np.concatenate([pickled.rows for pickled in classes]) if classes else np.zeros(0, np.int64)
    images, counts = np.unique(rows, return_counts=True)
    if len(images) < len(rows):
        raise DataError(f"'{path}' has image {images[counts > 1][0]} twice, in one class or in two.")


def _text(name: Any) -> str:
    """Text of a key; a pickle of plain data has no keys but text, bytes and numbers."""
    return name.decode("latin1") if isinstance(name, bytes) else str(name)


def _unexpected_content(path: Path) -> DataError:
    return DataError(f"'{path}' needs 'image_data' (uint8 [images, height, width, 3]) and 'class_dict' (class: rows).")
