"""``torchvision:NAME``: the classification data sets of torchvision.datasets."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from mamlbench.api import DataError, DataPaths, DatasetInfo
from mamlbench.errors import MissingDataError, MissingDependencyError
from mamlbench_plugins.datasets.downloads import FAILURES, downloads_folder, socket_timeout
from mamlbench_plugins.datasets.library_images import LibraryImages, LibraryItems, content_version

_BY_FLAG: tuple[dict[str, object], ...] = ({"train": True}, {"train": False})


def _by_word(*words: str) -> tuple[dict[str, object], ...]:
    return tuple({"split": word} for word in words)


PARTS: Mapping[str, tuple[dict[str, object], ...]] = {
    **dict.fromkeys(("CIFAR10", "CIFAR100", "FashionMNIST", "KMNIST", "MNIST", "USPS"), _BY_FLAG),
    **dict.fromkeys(("Caltech101", "Caltech256", "EuroSAT", "SEMEION", "SUN397"), ({},)),
    **dict.fromkeys(("DTD", "FGVCAircraft", "Flowers102"), _by_word("train", "val", "test")),
    **dict.fromkeys(("Food101", "GTSRB", "STL10", "SVHN", "StanfordCars"), _by_word("train", "test")),
    **dict.fromkeys(("ImageNet", "Imagenette"), _by_word("train", "val")),
    "Country211": _by_word("train", "valid", "test"),
    "EMNIST": ({"split": "balanced", "train": True}, {"split": "balanced", "train": False}),
    "ImageFolder": ({},),
    "Omniglot": ({"background": True}, {"background": False}),
    "OxfordIIITPet": _by_word("trainval", "test"),
}
"""Arguments of each part of a data set, which are pooled."""

_NO_DOWNLOAD = {"ImageFolder", "ImageNet", "StanfordCars"}
_LABELS = ("targets", "_labels", "labels", "y")
_SAMPLES = ("samples", "_samples", "_flat_character_images")
_FILES = ("samples", "_samples", "_image_files", "_images")


class TorchvisionImages(LibraryImages):
    """A data set of torchvision.datasets, by the name of its class there, such as EuroSAT or FGVCAircraft.

    ``--data-dir`` is torchvision's ``root``. Its parts (train, test, ...) are pooled, and classes are split: by
    ``split_file``, a published split or a table of your own; else by ``split_seed``.
    """

    info = DatasetInfo(
        title="A data set of torchvision",
        license="see its page in torchvision's documentation",
        citation="see its page in torchvision's documentation",
        publishable=False,
        homepage="https://docs.pytorch.org/vision/stable/datasets.html",
        obtain="name the folder that torchvision calls root with --data-dir, or let the first run download it, if "
        "torchvision can",
    )
    library: ClassVar[str] = "torchvision"

    @classmethod
    def known_members(cls) -> Collection[str]:
        return PARTS.keys()

    @classmethod
    def find_items(cls, options: Any, paths: DataPaths, *, download: bool) -> LibraryItems | None:
        downloads = downloads_folder(paths) / "torchvision"
        for root in (*(folder for _, folder in paths.folders), downloads):
            if (parts := _open(cls.member, root)) is not None:
                return _items(parts, root)
        if not download or cls.member in _NO_DOWNLOAD:
            return None
        try:
            downloads.mkdir(parents=True, exist_ok=True)
            with socket_timeout(), redirect_stdout(sys.stderr):
                return _items(_make(cls.member, downloads, download=True), downloads)
        except FAILURES as error:
            raise MissingDataError(
                f"torchvision:{cls.member} was not found, and downloading it failed ({error}): {cls.info.obtain}."
            ) from error


def _open(name: str, root: Path) -> list[Any] | None:
    """The parts of a data set that lies below ``root``; None if it does not."""
    not_there = RuntimeError, FileNotFoundError, NotADirectoryError  # what torchvision raises if it is not
    with suppress(*not_there), redirect_stdout(sys.stderr):
        return _make(name, root)
    return None


def _make(name: str, root: Path, **arguments: bool) -> list[Any]:
    import torchvision.datasets  # takes seconds

    make = getattr(torchvision.datasets, name)
    try:
        return [make(str(root), **part, **arguments) for part in PARTS[name]]
    except ModuleNotFoundError as error:  # scipy, h5py, ...
        raise MissingDependencyError(f"torchvision's {name} needs a package: {error}") from error


def _items(parts: Sequence[Any], root: Path) -> LibraryItems:
    """All images of all parts, in order."""
    starts = np.cumsum([0, *map(len, parts)])
    labels = [label for part in parts for label in _labels(part)]

    def read(number: int) -> Image.Image:
        part = int(np.searchsorted(starts, number, side="right")) - 1
        image = parts[part][number - int(starts[part])][0]
        if not isinstance(image, Image.Image):
            raise DataError(f"torchvision gives {type(image).__name__} and no image.")
        return image

    files = sorted({path for part in parts for path in _files(part)})
    named = [(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name, path) for path in files]
    version = () if files else tuple(content_version(_memory(part, read, len(labels))) for part in parts)
    return LibraryItems(labels, read, str(root), named, (*version, content_version(np.array(labels))))


def _labels(part: Any) -> list[str]:
    """The class of each image by its name, or by its number if the data set has no names. No image is decoded."""
    numbers = next((list(getattr(part, name)) for name in _LABELS if len(getattr(part, name, ())) == len(part)), None)
    if numbers is None:
        samples = next((getattr(part, name) for name in _SAMPLES if len(getattr(part, name, ())) == len(part)), ())
        numbers = [sample[1] for sample in samples] or [part[number][1] for number in range(len(part))]
    names = getattr(part, "classes", None) or getattr(part, "categories", None) or getattr(part, "_characters", None)
    plain = [int(number) for number in numbers]
    width = len(str(max(plain, default=0)))
    return [str(names[number]) if names and number < len(names) else f"class {number:0{width}}" for number in plain]


def _files(part: Any) -> list[Path]:
    """The image files that a data set knows; empty if it keeps its images in memory, or finds them as it goes."""
    for name in _FILES:
        entries = getattr(part, name, ())
        paths = [Path(str(entry[0] if isinstance(entry, tuple | list) else entry)) for entry in entries]
        if len(paths) == len(part) and paths and paths[0].is_file():
            return paths
    return []


def _memory(part: Any, read: Any, count: int) -> Any:
    """The images of a data set as an array: those it has in memory, else all of them decoded."""
    data = getattr(part, "data", None)
    if data is not None and len(data) == len(part):
        return np.asarray(data)
    hashes = [content_version(np.asarray(read(number))) for number in range(count)]
    return np.array(hashes)
