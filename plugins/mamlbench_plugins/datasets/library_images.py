"""Data sets of other libraries: all their labeled images, pooled, prepared once, and split by class here."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from mamlbench.api import (
    SPLITS,
    CachedImages,
    DamagedImagesError,
    DataPaths,
    Dataset,
    DatasetInfo,
    Fit,
    ImageFormat,
    ImageStream,
    LocalCopy,
    MissingDataError,
    NameFamily,
    ProgressCallback,
    TaskSplit,
    summarize_names,
    with_progress,
)
from mamlbench_plugins.datasets.folder_files import split_by_seed
from mamlbench_plugins.datasets.image_listing import describe_amount
from mamlbench_plugins.datasets.image_options import ImageOptions
from mamlbench_plugins.datasets.published_splits import split_classes

PREPARATION_VERSION = 1
"""Increase it with every change of the prepared images, so that cached files are made again."""


class LibraryOptions(ImageOptions):
    """Split of the classes, and the format that the images are converted to."""

    image_size: int = Field(84, ge=8, le=512, description="height and width that images are resized to")
    color: bool = Field(True, description="color, or gray")
    fit: Fit = Field("stretch", description="images that are not square are stretched, or cropped at their center")
    split_by: Literal["class", "test"] = Field(
        "class",
        description="class: cut by class with split_file or split_seed; test: every class in every split, for tests of "
        "models that were trained on other data",
    )
    split_file: str = Field(
        "", description="table with the columns class and split, or the name of a published split; empty: by a seed"
    )
    split_seed: int = Field(0, ge=0, description="seed of a split by class names")
    val: float = Field(0.16, gt=0, lt=1, description="share of the classes for validation in a seeded split")
    test: float = Field(0.2, gt=0, lt=1, description="share of the classes for testing in a seeded split")


@dataclass(frozen=True)
class LibraryItems:
    """The labeled images that a library has.

    Args:
        labels: the class of each image.
        read: the image of a number, as Pillow has it.
        location: where the library reads them.
        files: those that the images are made of, each as (name in the data set, path); empty: ``version`` says it.
        version: what else identifies the images.
    """

    labels: Sequence[str]
    read: Callable[[int], Image.Image]
    location: str
    files: Sequence[tuple[str, Path]] = ()
    version: tuple[object, ...] = ()
    notes: tuple[str, ...] = field(default=())


class LibraryImages(Dataset, NameFamily):
    """A data set of a library, by its name there. Its own splits, of images, are pooled: classes are split instead."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        title="A data set of another library",
        license="see the library's page of the data set",
        citation="see the library's page of the data set",
        publishable=False,
    )
    Options: ClassVar[type[ImageOptions]] = LibraryOptions
    default_backbone: ClassVar[str] = "conv4-pooled"
    library: ClassVar[str] = ""
    options: Any

    @classmethod
    @abstractmethod
    def find_items(cls, options: Any, paths: DataPaths, *, download: bool) -> LibraryItems | None:
        """Return the labeled images; None if they are not there and may not be, or cannot be, downloaded.

        Raises DataError if they are no images of classes.
        """

    @classmethod
    def find_local_copy(cls, options: Any, paths: DataPaths) -> LocalCopy | None:
        items = cls.find_items(options, paths, download=False)
        if items is None:
            return None
        cached = paths.load_cached(cls._cache_name(), items.files, _settings(options, items))
        counts = f"{len(items.labels):,} images of {len(set(items.labels)):,} classes"
        amount = describe_amount(cached) if cached else counts
        return LocalCopy(cls._form(), items.location, amount, None, cached is not None)

    def load(self) -> Mapping[str, TaskSplit]:
        """Find the images or download them, prepare them once, and split their classes.

        Raises DataError, with what to do, if they are missing or damaged, or cannot be split.
        """
        items = self.find_items(self.options, self.paths, download=self.paths.allow_download)
        if items is None:
            raise self._missing()
        image_format = ImageFormat(self.options.image_size, 3 if self.options.color else 1, self.options.fit)
        cached = self.paths.cached(
            self._cache_name(),
            items.files,
            _settings(self.options, items),
            lambda: stream(items, image_format, f"{self.library}:{self.member}", self.paths.progress),
        )
        how, classes = self._split(cached)
        self.origin, self.notes = f"{self._form()}, {how}", items.notes
        self.subset = self.options.left_out_classes(cached, classes)
        splits: Mapping[str, TaskSplit] = self.options.make_splits(cached, classes)
        return splits

    def _split(self, cached: CachedImages) -> tuple[str, Mapping[str, Sequence[int]]]:
        names, options = cached.class_names, self.options
        if options.split_by == "test":
            return "all classes in every split", dict.fromkeys(SPLITS, range(len(names)))
        if options.split_file:
            return f"split by {options.split_file}", split_classes(options.split_file, names)
        seeded = options.split_seed, options.val, options.test
        return f"split by class (seed {options.split_seed})", split_by_seed(names, *seeded)

    def _missing(self) -> MissingDataError:
        searched = summarize_names([f"'{path}' ({reason})" for reason, path in self.paths.folders])
        return MissingDataError(
            f"{self.library}:{self.member} was not found in {searched or 'any folder, because none was named'}: "
            f"{self.info.obtain}."
        )

    @classmethod
    def _form(cls) -> str:
        return f"{cls.library}'s {cls.member}"

    @classmethod
    def _cache_name(cls) -> str:
        return f"{cls.library}-{cls.member}"


def _settings(options: Any, items: LibraryItems) -> tuple[object, ...]:
    return (PREPARATION_VERSION, options.image_size, options.color, options.fit, *items.version)


def stream(items: LibraryItems, image_format: ImageFormat, title: str, progress: ProgressCallback) -> ImageStream:
    """Convert all images; classes come by name, the images of one in the library's order."""
    names = sorted(set(items.labels))
    labels = np.searchsorted(names, np.array(items.labels, dtype=object).astype(str))
    order = np.argsort(labels, kind="stable")
    offsets = np.cumsum([0, *np.bincount(labels, minlength=len(names))], dtype=np.int64)
    images = _converted(items, image_format, order, title, progress)
    return ImageStream(image_format.shape, offsets, tuple(names), {}, images)


def _converted(
    items: LibraryItems, image_format: ImageFormat, order: NDArray[np.int64], title: str, progress: ProgressCallback
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    damaged = []
    for row, number in with_progress(enumerate(order), title, len(order), progress):
        try:
            yield row, image_format.convert(items.read(int(number)))
        except (OSError, ValueError, SyntaxError) as error:
            damaged.append(f"image {number} ({error})")
    if damaged:
        raise DamagedImagesError(damaged)


def content_version(array: NDArray[Any]) -> str:
    """Hash an array of images that a library keeps in memory."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
