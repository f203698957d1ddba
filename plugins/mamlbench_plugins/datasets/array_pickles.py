"""Pickles of images and labels, one for each split, read as if each image were a file.

Two forms: ``{"data": uint8 [n, H, W, 3], "labels": [n]}`` of MetaOptNet (CIFAR-FS, FC100, miniImageNet), and the
lists of encoded images of Ren et al.'s tieredImageNet (``train_images_png.pkl`` beside ``train_labels.pkl``).
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mamlbench.api import SPLITS, DataError
from mamlbench_plugins.datasets.archives import FileStore, Store
from mamlbench_plugins.datasets.image_listing import ListedImage, in_order
from mamlbench_plugins.datasets.listed_names import ListedTree
from mamlbench_plugins.datasets.safe_unpickle import load_plain_pickle

ENDINGS = (".pickle", ".pkl")
ENCODED = "_images_png"
"""End of the name, without the suffix, of a list of encoded images."""
OTHER_IMAGES = re.compile(r"train_phase_(?:val|test)")
"""Pickles with further images of training classes, which MetaOptNet's miniImageNet has beside the three splits."""


@dataclass(frozen=True)
class PickleStore(FileStore):
    """The images of a pickle, by their numbers; pixels are given as files of the format PPM or PGM."""

    images: Any = field(default=None, compare=False, hash=False, repr=False)
    raw: tuple[tuple[str, Path], ...] = ()

    def names(self) -> list[str]:
        return [str(number) for number in range(len(self.images))]

    def raw_files(self, names: Collection[str]) -> list[tuple[str, Path]]:
        return list(self.raw)

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes | Exception]]:
        for name in list(names):
            yield name, _as_file(self.images[int(name)])


def _as_file(image: Any) -> bytes:
    """A file's bytes: of encoded ones ``[bytes]`` themselves, of pixels ``[H, W]`` or ``[H, W, 3]`` a plain format."""
    if isinstance(image, bytes):
        return image
    pixels = np.ascontiguousarray(image)
    if pixels.ndim == 1 or pixels.shape[1:] == (1,):
        return pixels.tobytes()
    height, width = pixels.shape[:2]
    return b"%s %d %d 255\n" % (b"P6" if pixels.ndim == 3 else b"P5", width, height) + pixels.tobytes()


@dataclass(frozen=True)
class SplitPickle:
    """The pickle of one split in a store, and the one with its labels if they are apart."""

    split: str
    store: Store
    name: str
    labels_name: str = ""

    @cached_property
    def images(self) -> Any:
        """Pixels uint8 ``[n, H, W, 3]``, or a list of encoded images. Raises DataError if it has none."""
        content = self._content
        images = content.get("data") if isinstance(content, dict) else content
        if not (_are_pixels(images) or _are_encoded(images)):
            raise self._unexpected("'data', uint8 [images, height, width, 3]")
        return images

    @cached_property
    def labels(self) -> list[str]:
        """The class of each image, in words."""
        source = _load(self.store, self.labels_name) if self.labels_name else self._content
        by_name = {_text(key): value for key, value in source.items()} if isinstance(source, dict) else {}
        labels, names = _labels(by_name)
        if labels is None or len(labels) != len(self.images):
            raise self._unexpected("'labels', one for each image")
        return [names.get(label, label if isinstance(label, str) else f"class {label}") for label in labels]

    @cached_property
    def _content(self) -> Any:
        content = _load(self.store, self.name)
        return {_text(key): value for key, value in content.items()} if isinstance(content, dict) else content

    def _unexpected(self, needed: str) -> DataError:
        return DataError(f"'{self.store.path}/{self.name}' is no pickle of images: it needs {needed}.")


def find_array_pickles(store: Store, names: Sequence[str]) -> list[SplitPickle]:
    """Return the pickle of each split by its name; empty unless there is exactly one for each."""
    pickles = [name for name in sorted(names) if name.lower().endswith(ENDINGS)]
    stems = {name: name.rpartition("/")[2].rpartition(".")[0].lower() for name in pickles}
    labels = {stem.removesuffix("_labels"): name for name, stem in stems.items() if stem.endswith("_labels")}
    images = [name for name in pickles if not stems[name].endswith("_labels") and not OTHER_IMAGES.search(stems[name])]
    by_split = {split: [name for name in images if _is_of(split, stems[name])] for split in SPLITS}
    if any(len(of_split) != 1 for of_split in by_split.values()):
        return []
    return [
        SplitPickle(split, store, name, labels.get(stems[name].removesuffix(ENCODED), ""))
        for split, (name,) in by_split.items()
    ]


def _is_of(split: str, stem: str) -> bool:
    """Whether a name has the split as a word of its own: 'cifar_fs_val' and 'val_images_png' are of val."""
    return split in re.split("[^a-z]+", stem)


def read_array_pickles(pickles: Sequence[SplitPickle]) -> ListedTree:
    """List the images of all splits; classes that have numbers and no names are called after their split too.

    Raises DataError if a pickle is damaged, holds something else, or needs more than plain data.
    """
    images = []
    for pickle in pickles:
        files = [name for name in (pickle.name, pickle.labels_name) if name]
        store = PickleStore(pickle.store.path / pickle.name, pickle.images, tuple(pickle.store.raw_files(files)))
        for row, label in enumerate(pickle.labels):
            name = f"{pickle.split} {label}" if _is_number(label) else label
            images.append(ListedImage(pickle.split, name, f"{row:07}", store, str(row)))
    return ListedTree(in_order(images), "pickles of images and labels")


def _are_pixels(images: Any) -> bool:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or not images.size:
        return False
    return images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)


def _are_encoded(images: Any) -> bool:
    return isinstance(images, list) and bool(images) and all(isinstance(image, bytes | np.ndarray) for image in images)


def _is_number(label: str) -> bool:
    return re.fullmatch(r"class \d+", label) is not None


def _load(store: Store, name: str) -> Any:
    ((_, content),) = store.read([name])
    if isinstance(content, Exception):
        raise DataError(f"'{store.path}/{name}' cannot be read ({content}).") from content
    return load_plain_pickle(io.BytesIO(content), f"{store.path}/{name}")


def _labels(content: Mapping[str, Any]) -> tuple[list[Any] | None, dict[Any, str]]:
    """Labels of all images, and the names of numbered classes: of MetaOptNet's files, and of tieredImageNet's."""
    numbers = content.get("labels", content.get("label_specific"))
    names: dict[Any, str] = {}
    by_number, by_name = content.get("label_specific_str"), content.get("catname2label")
    if isinstance(by_number, list):
        names = {number: _text(name) for number, name in enumerate(by_number)}
    elif isinstance(by_name, dict):
        names = {number: _text(name) for name, number in by_name.items() if isinstance(number, int)}
    values = numbers.tolist() if isinstance(numbers, np.ndarray) and numbers.ndim == 1 else numbers
    plain = isinstance(values, list) and all(isinstance(value, int | str | bytes) for value in values)
    return [value if isinstance(value, int) else _text(value) for value in values] if plain else None, names


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)
