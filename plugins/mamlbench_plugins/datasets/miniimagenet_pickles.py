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
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise _unexpected_content(path)
    classes = []
    for name in sorted(rows_of_class, key=_text):
        rows = np.sort(np.asarray(rows_of_class[name], np.int64))
        if not len(rows) or rows[0] < 0 or rows[-1] >= len(pixels):
            raise DataError(f"'{path}': class {_text(name)} names images that do not exist.")
        classes.append(PickledClass(split, _text(name), pixels, rows))
    return classes


def _text(name: Any) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else str(name)


def _unexpected_content(path: Path) -> DataError:
    return DataError(f"'{path}' needs 'image_data' (uint8 [images, height, width, 3]) and 'class_dict' (class: rows).")
