"""Your own images: a folder for each class, of any size and number."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from mamlbench.api import (
    CachedImages,
    DataPaths,
    Dataset,
    DatasetInfo,
    Fit,
    ImageFormat,
    LocalCopy,
    TaskSplit,
    cached_images,
    load_cached_images,
    no_progress,
)
from mamlbench.errors import DataError, MissingDataError, summarize_names
from mamlbench_plugins.datasets.archives import Store
from mamlbench_plugins.datasets.folder_files import (
    HELP,
    find_table,
    looks_split,
    open_tree,
    read_tree,
    split_by_seed,
    split_by_table,
)
from mamlbench_plugins.datasets.image_listing import SPLIT_OF_CLASS, UNSPLIT, Listing, amount, classes_by_split
from mamlbench_plugins.datasets.image_options import ImageOptions

PREPARATION_VERSION = 1
"""Raise it with every change to the prepared images: sets kept on disk are then made anew."""


class FolderOptions(ImageOptions):
    """Where the images lie, how their classes are split, and what they are made into."""

    path: str = Field("", description="the tree (a folder, zip or tar) below the data folder; empty: the data folder")
    image_size: int = Field(84, ge=8, le=512, description="height and width that images are resized to")
    color: bool = Field(True, description="color, or gray")
    fit: Fit = Field("stretch", description="images that are not square: stretched, or their middle cut out")
    split_file: str = Field(
        "", description="class trees: table with the columns class and split; empty: split.csv in the tree, if there"
    )
    split_seed: int = Field(0, ge=0, description="class trees without a table: seed of the split by class names")
    val: float = Field(0.16, gt=0, lt=1, description="share of the classes that a seeded split validates on")
    test: float = Field(0.2, gt=0, lt=1, description="share of the classes that a seeded split tests on")


class Folder(Dataset):
    """Images as SPLIT/CLASS/IMAGE, SPLIT being train, val (valid, validation) or test; or as CLASS/IMAGE.

    A tree of classes is split by its table split.csv (columns class and split), or else by a hash of the class names
    and a seed: the same on every machine.
    """

    info = DatasetInfo(
        title="A folder of images",
        license="that of your images",
        citation="none (your own images)",
        publishable=False,
        obtain="name the folder with --data-dir, MAMLBENCH_DATA or data_dir in mamlbench.toml, and what lies below it "
        f"with -o path=NAME. {HELP}",
    )
    Options: ClassVar[type[ImageOptions]] = FolderOptions
    default_backbone: ClassVar[str] = "conv4-pooled"
    options: FolderOptions

    @classmethod
    def find_local_copy(cls, options: FolderOptions, paths: DataPaths) -> LocalCopy | None:
        """Without a path only a data folder that has train, val and test itself is taken for a tree."""
        store = _find(options, paths)
        if store is None or not (options.path or looks_split(store.path)):
            return None
        prepared = load_cached_images(_prepared_at(paths, options, store))
        found = prepared or _listing(options, store).stream(no_progress)
        return LocalCopy(
            _form(found.metadata[SPLIT_OF_CLASS]), str(store.path), amount(found), None, prepared is not None
        )

    def load(self) -> Mapping[str, TaskSplit]:
        """Find the tree, prepare it once, and split its classes.

        Raises DataError, with what to do, where it is not found or damaged, or cannot be split.
        """
        store = _find(self.options, self.paths)
        if store is None:
            raise _not_found(self.options, self.paths)
        cached = cached_images(
            _prepared_at(self.paths, self.options, store),
            lambda: _listing(self.options, store).stream(self.paths.progress),
        )
        self.origin, classes = self._split(cached, store)
        return self.options.pools(cached, classes)

    def image_format(self) -> ImageFormat:
        return _format(self.options)

    def _split(self, cached: CachedImages, store: Store) -> tuple[str, Mapping[str, list[int]]]:
        """How the classes are split, in words, and the classes of each split."""
        form, options = _form(cached.metadata[SPLIT_OF_CLASS]), self.options
        if UNSPLIT not in cached.metadata[SPLIT_OF_CLASS]:
            if options.split_file:
                raise DataError(f"'{store.path}' has folders of splits: leave out dataset.split_file, or the folders.")
            return form, classes_by_split(cached)
        table = find_table(store, options.split_file)
        if table is not None:
            return f"{form}, split by {table[0]}", split_by_table(cached.class_names, *table)
        classes = split_by_seed(cached.class_names, options.split_seed, options.val, options.test)
        return f"{form}, split by their names (seed {options.split_seed})", classes


def _form(split_of_class: str) -> str:
    return "class folders" if UNSPLIT in split_of_class else "folders of splits"


def _find(options: FolderOptions, paths: DataPaths) -> Store | None:
    found = (open_tree(folder / Path(options.path).expanduser()) for _, folder in paths.folders)
    return next((store for store in found if store is not None), None)


def _format(options: FolderOptions) -> ImageFormat:
    return ImageFormat(options.image_size, 3 if options.color else 1, options.fit)


def _listing(options: FolderOptions, store: Store) -> Listing:
    return Listing("", read_tree(store), _format(options), store.path.name)


def _prepared_at(paths: DataPaths, options: FolderOptions, store: Store) -> Path:
    """The split plays no part: another one needs no other images."""
    known = (PREPARATION_VERSION, store.fingerprint(), _format(options))
    return paths.cache / f"folder-{hashlib.sha256(repr(known).encode()).hexdigest()[:16]}.safetensors"


def _not_found(options: FolderOptions, paths: DataPaths) -> MissingDataError:
    wanted = f"'{options.path}'" if options.path else "A folder of images"
    looked = (
        summarize_names([f"'{path}' ({reason})" for reason, path in paths.folders]) or "no folder, for none was named"
    )
    return MissingDataError(
        f"{wanted} was not found in {looked}. Name the folder with --data-dir, MAMLBENCH_DATA or data_dir in "
        f"mamlbench.toml, and what lies below it with -o dataset.path=NAME. {HELP}"
    )
