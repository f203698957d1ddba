"""Files of CIFAR-100 as published for Python: the folder ``cifar-100-python``, or its archive."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mamlbench.api import DataError, DataPaths, ImageStream, ProgressCallback, no_progress, with_progress
from mamlbench_plugins.datasets.archives import ARCHIVES, ArchiveStore, FolderStore, Store
from mamlbench_plugins.datasets.downloads import searched_folders
from mamlbench_plugins.datasets.resumed_download import download_file
from mamlbench_plugins.datasets.safe_unpickle import load_plain_pickle

NAME = "cifar-100-python"
FILES = ("train", "test", "meta")
SIDE = 32


class CIFARFile(NamedTuple):
    """Contents of the file train or test: pixels uint8 ``[n, 3, 32, 32]`` and fine labels int64 ``[n]``."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def find_files(paths: DataPaths) -> Store | None:
    """Return the first folder or archive with the data set, in the searched folders or subfolders named after it."""
    for _, folder in searched_folders(paths):
        for candidate in (folder, folder / NAME, folder / "cifar100", folder / "cifar100" / NAME):
            if all((candidate / name).is_file() for name in FILES):
                return FolderStore(candidate)
            for suffix in ARCHIVES:
                archive = candidate / f"{NAME}{suffix}"
                if archive.is_file():
                    return ArchiveStore(archive)
    return None


def stream(store: Store, progress: ProgressCallback) -> ImageStream:
    """Return all images by class, sorted by name; of a class, images of the file train come before those of test.

    No code of the pickles is run. Raises DataError if a file is damaged, missing or holds something else.
    """
    content = _read(store)
    names = _class_names(content["meta"], f"{store.path}/meta")
    files = [_checked(content[name], len(names), f"{store.path}/{name}") for name in ("train", "test")]
    pixels = np.concatenate([file.pixels for file in files])
    labels = np.concatenate([file.labels for file in files])
    by_name = sorted(set(labels.tolist()), key=lambda label: names[label])  # a subset has fewer classes
    order = np.concatenate([np.flatnonzero(labels == label) for label in by_name])
    return ImageStream(
        (3, SIDE, SIDE),
        np.cumsum([0, *(int((labels == label).sum()) for label in by_name)], dtype=np.int64),
        tuple(names[label] for label in by_name),
        {},
        _images(pixels, order, progress),
    )


def _images(
    pixels: NDArray[np.uint8], order: NDArray[np.int64], progress: ProgressCallback
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for row, image in with_progress(enumerate(order), "CIFAR-100", len(order), progress):
        yield row, pixels[image]


def _read(store: Store) -> dict[str, Any]:
    file_names = {name: name.rpartition("/")[2] for name in store.names() if name.rpartition("/")[2] in FILES}
    contents = {}
    for name, content in store.read(file_names):
        if isinstance(content, Exception):
            raise DataError(f"'{store.path}/{name}' cannot be read ({content}): download it again.") from content
        contents[file_names[name]] = load_plain_pickle(io.BytesIO(content), f"{store.path}/{name}")
    if missing := [name for name in FILES if name not in contents]:
        raise DataError(f"'{store.path}' lacks {' and '.join(missing)} of CIFAR-100: download it again.")
    return {name: _with_text_keys(content) for name, content in contents.items()}


def _with_text_keys(content: Any) -> dict[str, Any]:
    """Convert keys to text: the published files come from Python 2, and copies may have bytes."""
    if not isinstance(content, dict):
        return {}
    return {_text(key): value for key, value in content.items()}


def _text(name: Any) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else str(name)


def _class_names(meta: dict[str, Any], file: str) -> list[str]:
    names = meta.get("fine_label_names")
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise DataError(f"'{file}' is not a file of CIFAR-100: it needs 'fine_label_names'.")
    return [_text(name) for name in names]


def _checked(content: dict[str, Any], classes: int, file: str) -> CIFARFile:
    """Return pixels and labels. Raises DataError if they are missing, malformed or out of range."""
    pixels, labels = content.get("data"), content.get("fine_labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (3 * SIDE * SIDE,):
        raise DataError(f"'{file}' is not a file of CIFAR-100: it needs 'data', uint8 [images, {3 * SIDE * SIDE}].")
    if (
        not isinstance(labels, list)
        or len(labels) != len(pixels)
        or not all(isinstance(label, int) for label in labels)
    ):
        raise DataError(f"'{file}' is not a file of CIFAR-100: it needs 'fine_labels', a number for each image.")
    if labels and not (min(labels) >= 0 and max(labels) < classes):
        raise DataError(f"'{file}' has labels from {min(labels)} to {max(labels)}, and meta names {classes} classes.")
    return CIFARFile(pixels.reshape(-1, 3, SIDE, SIDE), np.array(labels, np.int64))


def download(folder: Path, progress: ProgressCallback = no_progress) -> None:
    """Download the archive (169 MB) into ``folder``, or what is still missing of it.

    Raises one of ``downloads.FAILURES``.
    """
    from torchvision.datasets import CIFAR100  # knows the address and checksum; takes seconds to import

    logging.getLogger("mamlbench.datasets").info("Downloading CIFAR-100 (169 MB) from %s.", CIFAR100.url)
    download_file(CIFAR100.url, folder / CIFAR100.filename, f"md5:{CIFAR100.tgz_md5}", progress)
