"""miniImageNet as three pickles, ``mini-imagenet-cache-{train,val,test}.pkl``: pixels and the rows of each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mamlbench.api import SPLITS, ImageStream, ProgressCallback
from mamlbench.errors import DataError
from mamlbench_plugins.datasets.image_listing import ORIGIN, SPLIT_OF_CLASS
from mamlbench_plugins.datasets.miniimagenet_files import FORMAT, KNOWN
from mamlbench_plugins.datasets.safe_unpickle import read_plain_pickle


class PickledClass(NamedTuple):
    """One class of one file: ``pixels`` uint8 ``[images of the split, H, W, 3]`` and the rows that are its own."""

    split: str
    name: str
    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Pickled:
    """All classes, in the order train, val, test, then by name."""

    classes: tuple[PickledClass, ...]
    origin: str = "pickles"

    def stream(self, progress: ProgressCallback) -> ImageStream:
        """Hand out the pixels, resized where they are not 84 x 84."""
        return ImageStream(
            FORMAT.shape,
            np.cumsum([0, *(len(each.rows) for each in self.classes)], dtype=np.int64),
            tuple(each.name for each in self.classes),
            {ORIGIN: self.origin, SPLIT_OF_CLASS: " ".join(each.split for each in self.classes)},
            enumerate(self._images(progress)),
        )

    def _images(self, progress: ProgressCallback) -> Iterator[NDArray[np.uint8]]:
        for number, each in enumerate(self.classes, 1):
            for row in each.rows:
                yield FORMAT.convert(Image.fromarray(each.pixels[row]))
            progress("miniImageNet, classes", number, len(self.classes))


def read_pickles(paths: Sequence[Path]) -> Pickled | None:
    """Read one pickle for each split; None where there is not one each, or they hold no class of miniImageNet.

    Raises DataError where one is damaged, holds something else or asks for more than plain data.
    """
    if not has_pickles(paths):
        return None
    classes = [each for split in SPLITS for each in _classes(split, _of_split(paths, split)[0])]
    return Pickled(tuple(classes)) if any(each.name in KNOWN for each in classes) else None


def has_pickles(paths: Sequence[Path]) -> bool:
    """Whether there is one pickle for each split."""
    return all(len(_of_split(paths, split)) == 1 for split in SPLITS)


def _of_split(paths: Sequence[Path], split: str) -> list[Path]:
    return [path for path in paths if split in path.stem]


def _classes(split: str, path: Path) -> list[PickledClass]:
    content = read_plain_pickle(path)
    if not isinstance(content, dict):
        raise _other_content(path)
    named = {_text(key): value for key, value in content.items()}
    pixels, members = named.get("image_data"), named.get("class_dict")
    if not isinstance(pixels, np.ndarray) or not isinstance(members, dict):
        raise _other_content(path)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise _other_content(path)
    found = []
    for name in sorted(members, key=_text):
        rows = np.sort(np.asarray(members[name], np.int64))
        if not len(rows) or rows[0] < 0 or rows[-1] >= len(pixels):
            raise DataError(f"'{path}': class {_text(name)} names images that are not there.")
        found.append(PickledClass(split, _text(name), pixels, rows))
    return found


def _text(name: Any) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else str(name)


def _other_content(path: Path) -> DataError:
    return DataError(f"'{path}' needs 'image_data' (uint8 [images, height, width, 3]) and 'class_dict' (class: rows).")
